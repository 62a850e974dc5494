import type { Clock } from '../../lib/clock.ts';
import type { ConnectionEnd, Conntrack, RawIp } from '../../linux/index.ts';
import { isKernelError } from '../../linux/errors.ts';
import { challenge } from './segment.ts';

export interface CutConnection {
  readonly client: ConnectionEnd;
  readonly service: ConnectionEnd;
}

/** A client takes up to half a second to answer another challenge (tcp_invalid_ratelimit). */
const againMs = 700;
const perTurn = 128;
const maxWaiting = 100_000;

/**
 * Tells the clients of connections that were cut. One that sends gets a reset anyway, but one that only
 * waits (a watch) would wait for its keep-alive. So each is sent a challenge; its answer belongs to no
 * connection any more, and whoever answers for the VIP resets it. Twice, in case one was lost.
 */
export class Resetter {
  private readonly rawIp: RawIp;
  private readonly conntrack: Conntrack | undefined;
  private readonly clock: Clock;
  private readonly abort = new AbortController();
  private waiting = 0;
  /** Clients that were told, and how many were not because too many waited. */
  told = 0;
  refused = 0;

  constructor(ports: {
    readonly rawIp: RawIp;
    readonly conntrack: Conntrack | undefined;
    readonly clock: Clock;
  }) {
    this.rawIp = ports.rawIp;
    this.conntrack = ports.conntrack;
    this.clock = ports.clock;
  }

  async reset(connections: readonly CutConnection[]): Promise<void> {
    const some = connections.slice(0, maxWaiting - this.waiting);
    this.refused += connections.length - some.length;
    this.waiting += some.length;
    try {
      await this.challengeAll(some);
      this.told += some.length;
      await this.clock.sleep('challenge again', againMs, this.abort.signal);
      await this.challengeAll(some);
    } finally {
      this.waiting -= some.length;
    }
  }

  close(): void {
    this.abort.abort();
  }

  private async challengeAll(connections: readonly CutConnection[]): Promise<void> {
    for (let from = 0; from < connections.length; from += perTurn) {
      if (this.abort.signal.aborted) return;
      const some = connections.slice(from, from + perTurn);
      for (const { client, service } of some) this.challenge(service, client);
      // Our own segments must leave no trace: an entry for them would make the answer look known.
      this.conntrack?.remove(some.map(({ client, service }) => ({ client: service, service: client })));
      await this.clock.sleep('let others run', 0, this.abort.signal);
    }
  }

  private challenge(from: ConnectionEnd, to: ConnectionEnd): void {
    try {
      this.rawIp.send(to.address, challenge(from, to));
    } catch (error) {
      // No route to a client, or a full queue: it has to find out by itself.
      if (!isKernelError(error, 'retry', 'bug')) throw error;
    }
  }
}
