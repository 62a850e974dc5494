import { isKernelError } from './errors.ts';
import { schedulingPolicy, setSchedulingPolicy } from './sys.ts';

/** sched(7); the flag leaves children and threads that are made meanwhile as they would be without. */
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Any real-time thread runs before all ordinary ones; those of others run before this one. */
const lowestPriority = 1;

const doing = { op: 'change scheduling policy' };

/**
 * Lets the calling thread run before all that are not real-time ones, whatever share of the processors its control group
 * has. Keep it short: nothing but Linux's own reserve (5 % of the time) is left to them on its processor.
 *
 * @returns what makes it an ordinary thread again. Undefined: it may not (CAP_SYS_NICE), the C library cannot (musl), or
 *   it is none now, because somebody has chosen another policy for this process.
 */
export function runBeforeOthers(): (() => void) | undefined {
  try {
    if (schedulingPolicy(doing) !== SCHED_OTHER) return undefined;
    setSchedulingPolicy(doing, SCHED_RR | SCHED_RESET_ON_FORK, lowestPriority);
  } catch (error) {
    if (isKernelError(error)) return undefined;
    throw error;
  }
  return () => {
    try {
      setSchedulingPolicy(doing, SCHED_OTHER, 0);
    } catch (error) {
      // What was allowed a moment ago, and no reason to end a process that has VIPs.
      if (!isKernelError(error)) throw error;
    }
  };
}
