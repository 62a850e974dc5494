import { backoffMs } from './backoff.ts';
import type { Random } from './clock.ts';

const pause = { baseMs: 1000, maxMs: 60_000 };
/** Milliseconds: whoever undoes what we wrote after this long does not answer us. */
export const calmMs = 3 * pause.maxMs;

/**
 * Somebody else keeps undoing what we write: how long to leave it at that, milliseconds, and whether it begins to be a
 * fight.
 *
 * @param undone how often in a row it was undone.
 * @param forgiven how often that means nothing yet.
 */
export function contestPause(
  undone: number,
  forgiven: number,
  random: Random,
): { readonly ms: number; readonly isNew: boolean } {
  const rounds = undone - forgiven;
  return { ms: rounds <= 0 ? 0 : backoffMs(rounds, pause, random), isNew: rounds === 1 };
}
