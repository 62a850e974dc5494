import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { ServicesOperator, ServicesOptions } from '../services/index.ts';
import { openStage } from './rehearsal-stage.ts';

/** So many Services, so often: after that V8 has compiled what they need, and more would change little. */
const count = 256;
const rounds = 2;
/** Fewer Services than these are taken over in no time anyway. */
const worthIt = 100;
/** Soon, because in a rollout each node starts just before it has to take over; then less and less often. */
const firstLookMs = 2000;
const maxLookMs = 60_000;

/**
 * Goes through a take-over on a stage: the operator and the node of this program, with made-up Services, an election that is
 * won when the play says so, and a kernel that does nothing. Nothing outside of it changes. Code that runs for the
 * first time takes twice as long, and on a node that stands by that is when a thousand VIPs wait for it.
 *
 * Takes the turns of the event loop that a take-over takes. Resolves with the number of VIPs that were put on the
 * stage's link: fewer than planned when `signal` has aborted.
 */
export async function rehearse(clock: Clock, options: ServicesOptions, signal: AbortSignal): Promise<number> {
  const end = new AbortController();
  const { node, operator, election, ended } = await openStage(count, clock, options, end.signal);
  // At least one turn: each scene is as long as in the play, and what else the process has to do comes in between.
  const passing = async (isGoingOn: () => boolean): Promise<void> => {
    do await clock.sleep('rehearsal', 0);
    while (isGoingOn() && !signal.aborted);
  };
  try {
    await passing(() => operator.waitingFor() !== undefined || operator.isBusy());
    for (let round = 0; round < rounds && !signal.aborted; round++) {
      const { listener } = election;
      listener?.acquired({ holds: () => true });
      await passing(() => operator.isBusy() || node.isBusy());
      listener?.lost('resigned');
      await listener?.withdrawn?.();
      await clock.sleep('rehearsal', 0);
    }
    return node.counters().added;
  } finally {
    end.abort();
    await ended;
    node.close();
  }
}

export interface RehearsalParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: ServicesOptions;
  readonly operator: Pick<ServicesOperator, 'advertised' | 'isBusy' | 'known' | 'waitingFor'>;
}

export interface Rehearsal {
  /** It does not take place, or ends with the turn under way: the real play begins. */
  end(): void;
}

/**
 * Rehearses once, when this node has stood by for a while with many Services. One that has held some has been through
 * it already.
 */
export function rehearseOnStandby({ clock, log, options, operator }: RehearsalParts): Rehearsal {
  const abort = new AbortController();
  const { signal } = abort;
  const look = async (): Promise<void> => {
    let [ms, seen] = [firstLookMs, -1];
    for (;;) {
      await clock.sleep('rehearsal', ms, signal);
      if (signal.aborted || operator.advertised().length > 0) return;
      const known = operator.known();
      // While Services come the machine has other work; then they are waited for.
      const isSettled = known === seen && operator.waitingFor() === undefined && !operator.isBusy();
      ms = known === seen ? Math.min(2 * ms, maxLookMs) : firstLookMs;
      seen = known;
      if (!isSettled || known < worthIt) continue;
      const vips = await rehearse(clock, options, signal);
      log.debug('a take-over was rehearsed', { vips });
      return;
    }
  };
  // With a lease for each Service there is no moment at which many are taken over.
  const isWorthIt = options.reach === 'layer2' && !options.perServiceElection;
  if (isWorthIt)
    look().catch((error: unknown) => {
      log.warn('a take-over could not be rehearsed', { error: messageOf(error) });
    });
  return {
    end: () => {
      abort.abort();
    },
  };
}
