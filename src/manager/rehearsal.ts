import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Stage } from './rehearsal-stage.ts';

export interface RehearsalParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** A take-over would be long, this node stands by, and nothing waits on it. */
  readonly isIdle: () => boolean;
  readonly openStage: () => Promise<Stage>;
}

const lookMs = 5000;
/** Between two take-overs: there is time for all else. */
const pauseMs = 25;
/** Of 160 Services each: V8 optimizes what has run some four thousand times (`engine.ts`). */
const takeOvers = 32;
/** On each new stage all begins for the first time, and in other objects: V8 learns that both happen. */
const onOneStage = 4;

/**
 * Taking over, rehearsed. A node that stands by has never run what it stands by for, and code that V8 sees for the first time
 * is compiled on the way, and made fast only when it has seen which kinds of objects come by: a thousand VIPs take almost twice as long (ADR 16).
 *
 * Resolves when it is done, or when the signal aborts. It makes way for whatever is real within a few milliseconds, and goes on later.
 *
 * @returns the last stage, to be closed at the end of the process: what V8 has made of the code goes with the last objects that it was made for.
 */
export async function rehearse(parts: RehearsalParts, signal: AbortSignal): Promise<Stage | undefined> {
  const { clock, log, isIdle, openStage } = parts;
  let left = takeOvers;
  const mayGoOn = (): boolean => left > 0 && !signal.aborted && isIdle();
  try {
    while (!signal.aborted) {
      await clock.sleep('rehearsal', lookMs, signal);
      while (mayGoOn()) {
        const stage = await openStage();
        for (let n = 0; n < onOneStage && mayGoOn(); n++, left--) {
          await stage.takeOver();
          await clock.sleep('rehearsal', pauseMs, signal);
        }
        if (left === 0) {
          stage.rest();
          log.debug('taking over has been rehearsed', { times: takeOvers });
          return stage;
        }
        await stage.close();
      }
    }
  } catch (error) {
    // Nothing that is real has come to harm, and the next take-over is as long as it would have been.
    log.warn('taking over cannot be rehearsed', { error: messageOf(error) });
  }
  return undefined;
}
