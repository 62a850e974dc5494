import { attempt } from '../../lib/attempt.ts';
import type { Clock, Random } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Ip } from '../../lib/ip.ts';
import type { ProbeAnswer } from '../../kube/types.ts';
import type { PoolEvent } from './pool.ts';

/** Asks one API server; see kube/backend-probe.ts. */
export interface Prober {
  probe(address: Ip, signal: AbortSignal): Promise<ProbeAnswer>;
  forget(address: Ip): void;
}

/** What became of one probe. */
export type ProbeOutcome = Omit<Extract<PoolEvent, { kind: 'probe' }>, 'kind' | 'address'>;

export interface ProbesParts {
  readonly prober: Prober;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ProbesOptions {
  /** Milliseconds from the beginning of a probe to that of the next. */
  readonly intervalOf: (address: Ip) => number;
  readonly timeoutMs: number;
  readonly tell: (address: Ip, outcome: ProbeOutcome) => void;
}

/** The probes of one address. */
interface Probing {
  readonly stop: AbortController;
  /** Ends the pause before the next probe. */
  wake: AbortController;
}

/** Asks a set of API servers over and over, each at its own pace. */
export class Probes {
  private readonly parts: ProbesParts;
  private readonly options: ProbesOptions;
  private readonly probing = new Map<Ip, Probing>();

  constructor(parts: ProbesParts, options: ProbesOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** These and no others from now on. */
  want(addresses: Iterable<Ip>): void {
    const wanted = new Set(addresses);
    for (const [address, probing] of this.probing) {
      if (wanted.has(address)) continue;
      probing.stop.abort();
      this.probing.delete(address);
      this.parts.prober.forget(address);
    }
    for (const address of wanted) {
      if (this.probing.has(address)) continue;
      const probing = { stop: new AbortController(), wake: new AbortController() };
      this.probing.set(address, probing);
      void this.probeForever(address, probing);
    }
  }

  /** The server ended the connection of its probe: it may be dead, and is asked at once. */
  lost(address: Ip): void {
    this.probing.get(address)?.wake.abort();
  }

  private async probeForever(address: Ip, probing: Probing): Promise<void> {
    const { clock, random } = this.parts;
    const { signal } = probing.stop;
    const stopped = (): boolean => signal.aborted;
    let isEarly = false;
    while (!stopped()) {
      const started = clock.now();
      probing.wake = new AbortController();
      const outcome = await this.probeOnce(address, signal);
      if (stopped()) return;
      this.options.tell(address, outcome);
      // Up to a tenth early, so that the probes of many nodes and backends do not run in step.
      const interval = this.options.intervalOf(address) * (1 - random() / 10);
      // One early probe for each interval: a server may end every connection after its answer.
      const until = isEarly ? signal : AbortSignal.any([signal, probing.wake.signal]);
      await clock.sleep('backend-probe', Math.max(0, started + interval - clock.now()), until);
      isEarly = !isEarly && probing.wake.signal.aborted;
    }
  }

  private async probeOnce(address: Ip, signal: AbortSignal): Promise<ProbeOutcome> {
    const { clock, prober } = this.parts;
    const { timeoutMs } = this.options;
    try {
      const answer = await attempt(clock, 'backend-probe-timeout', timeoutMs, signal, (within) =>
        prober.probe(address, within),
      );
      if (typeof answer !== 'object') return { problem: answer, isAnswered: true };
      return { problem: answer.keepsOnly, isAnswered: true, isRefused: true };
    } catch (error) {
      return { problem: messageOf(error), isRefused: isRefusal(error) };
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
}
