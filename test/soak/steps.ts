import { waitFor } from '../../lab/index.ts';
import type { Random } from '../../src/lib/clock.ts';
import type { Model } from './model.ts';
import type { Site } from './site.ts';

/** What a step may use. All that is drawn comes from `random`, so that a seed draws the same again. */
export interface Scene {
  readonly site: Site;
  readonly model: Model;
  readonly random: Random;
}

/** Something that happens, with all that is random about it drawn already. */
export interface Step {
  /** As the list of steps has it. */
  readonly text: string;
  readonly act: () => Promise<unknown>;
  /** For faults: what undoes it, after so many milliseconds. */
  readonly undo?: { readonly afterMs: number; readonly act: () => Promise<unknown> };
}

/** Draws one step of its kind; undefined when it makes no sense now. */
export type Draw = (scene: Scene) => Step | undefined;

export function upTo(random: Random, low: number, high: number): number {
  return Math.floor(low + random() * (high - low + 1));
}

export function oneOf<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to draw from');
  return item;
}

/** Until it succeeds: what users and controllers do as well while the API servers are in trouble. */
export async function insist(what: string, act: () => Promise<unknown>): Promise<void> {
  const done = async (): Promise<boolean> => {
    await act();
    return true;
  };
  await waitFor(done, { what, timeoutMs: 120_000, everyMs: 200 });
}
