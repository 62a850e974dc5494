import { messageOf } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { specKey } from './balancer.ts';
import type { Connections } from './cutter.ts';
import type { Shared } from './ports.ts';
import type { Resetter } from './resetter.ts';
import type { VirtualServerSpec } from './types.ts';

/** In good order the next holder answers for the VIP after some 100 ms. Told earlier, the clients would answer nobody. */
const nextHolderMs = 300;

export interface FarewellParts {
  readonly shared: Shared;
  readonly sources: readonly Connections[];
  readonly resetter: Resetter;
  /** This node has the virtual server again: its connections go on. */
  readonly isBack: (key: string) => boolean;
  /** What was remembered of these is not needed any more. */
  readonly haveRead: () => void;
}

/**
 * The clients of a VIP that leaves this node. The next holder knows none of their connections, and resets each that
 * sends; those that only wait (a watch) would wait for their keep-alive. This node knows them, so it makes them speak
 * when the next holder is there, in a challenge from the VIP: whose address it is matters to nobody who only sends.
 */
export class Farewell {
  private readonly parts: FarewellParts;
  private readonly clock: Clock;
  private readonly abort = new AbortController();
  private readonly telling = new Set<Promise<void>>();

  constructor(parts: FarewellParts) {
    this.parts = parts;
    this.clock = parts.shared.clock;
  }

  /** Reads at once who is connected to these. */
  to(gone: readonly VirtualServerSpec[]): void {
    const telling = this.tell(gone)
      .catch((error: unknown) => {
        this.parts.shared.counters.failures++;
        this.parts.shared.log.info('clients of a VIP that left could not be told', {
          error: messageOf(error),
        });
      })
      .finally(() => this.telling.delete(telling));
    this.telling.add(telling);
  }

  /** Resolves when everybody has been told. */
  async told(): Promise<void> {
    await Promise.all(this.telling);
  }

  close(): void {
    this.abort.abort();
  }

  private async tell(gone: readonly VirtualServerSpec[]): Promise<void> {
    const { sources, resetter, isBack, haveRead, shared } = this.parts;
    const held = await Promise.all(sources.map((source) => source.of(gone))).finally(() => {
      if (!this.abort.signal.aborted) haveRead();
    });
    const waiting = held.flat().filter(({ isEstablished, hasEnded }) => isEstablished && hasEnded !== true);
    if (waiting.length === 0) return;
    await this.clock.sleep('next holder', nextHolderMs, this.abort.signal);
    const clients = waiting.filter(
      ({ service }) => !isBack(specKey({ vip: service.address, port: service.port })),
    );
    if (clients.length === 0 || this.abort.signal.aborted) return;
    shared.counters.clientsReset += clients.length;
    shared.log.info('clients of a VIP that left are told', { connections: clients.length });
    await resetter.reset(clients);
  }
}
