import type { Clock, Random } from '../lib/clock.ts';
import { calmMs, contestPause } from '../lib/contest.ts';
import type { Service, ServiceKey } from './types.ts';

/** Once may be the late write of a former holder. */
const forgiven = 1;

interface Written {
  readonly text: string;
  /** The version of the Service on which it was written. */
  readonly base: string | undefined;
  readonly at: number;
  /** How often in a row it was not there any more. */
  readonly overwritten: number;
}

/**
 * Others write what we write: a second load balancer, another instance that believes to hold the same Service. Both would
 * answer each other as fast as the API server takes it, so who is overwritten again and again waits longer each time.
 */
export class Contests {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly written = new Map<ServiceKey, Written>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** We have written this, on top of that version of the Service. */
  wrote(key: ServiceKey, text: string, { metadata }: Service): void {
    const overwritten = this.written.get(key)?.overwritten ?? 0;
    this.written.set(key, { text, base: metadata.resourceVersion, at: this.clock.now(), overwritten });
  }

  /** The Service says something else. How long to leave it at that, milliseconds, and whether it begins to be a fight. */
  pauseBefore(key: ServiceKey, text: string, { metadata }: Service): { ms: number; isNew: boolean } {
    const last = this.written.get(key);
    const isStale = last?.base !== undefined && last.base === metadata.resourceVersion;
    if (last === undefined || last.text !== text || isStale) return { ms: 0, isNew: false };
    const isCalm = this.clock.now() - last.at > calmMs;
    const overwritten = isCalm ? 1 : last.overwritten + 1;
    this.written.set(key, { ...last, overwritten });
    return contestPause(overwritten, forgiven, this.random);
  }

  forget(key: ServiceKey): void {
    this.written.delete(key);
  }
}
