import { formatPrefix, hostLength, type Ip, type Prefix } from '../../../src/lib/ip.ts';
import { silentLogger, type Logger } from '../../../src/lib/log.ts';
import { connectTcp, inNamespace, openKernel, openUdpPath, systemClock } from '../../../src/linux/index.ts';
import { createSpeaker, type Speaker } from '../../../src/node/index.ts';

/** A speaker whose sockets are made on a node, and what it should advertise. */
export class NodeSpeaker {
  readonly speaker: Speaker;
  /** Connections that were begun. */
  attempts = 0;
  /** Sessions that were lost: the peer, and why. */
  readonly losses: { readonly peer: unknown; readonly reason: unknown }[] = [];
  readonly #wanted = new Map<string, Prefix>();
  /** Its event loop side is all that is used of it. */
  readonly #kernel = openKernel({ clock: systemClock() });

  /** @param links Indexes of the node's links, for peers that are link-local. */
  constructor(namespace: string, links: Readonly<Record<string, number>> = {}) {
    this.speaker = createSpeaker({
      connect: (target, handlers) => {
        this.attempts++;
        return inNamespace({ name: namespace }, () => connectTcp(target, handlers));
      },
      openUdpPath: (options, onDatagram) =>
        inNamespace({ name: namespace }, () =>
          openUdpPath(this.#kernel.poller, Math.random, options, onDatagram),
        ),
      clock: systemClock(),
      random: Math.random,
      log: this.#listening(),
      linkIndex: (name) => links[name],
    });
    this.speaker.follow({
      all: () => [...this.#wanted.values()],
      wants: (prefix) => this.#wanted.has(formatPrefix(prefix)),
    });
  }

  #listening(): Logger {
    return {
      ...silentLogger,
      child: () => this.#listening(),
      warn: (message, fields) => {
        if (message.startsWith('BGP session lost'))
          this.losses.push({ peer: fields?.['peer'], reason: fields?.['reason'] });
      },
    };
  }

  want(...vips: readonly Ip[]): void {
    const before = [...this.#wanted.values()];
    const after = vips.map((address): Prefix => ({ address, length: hostLength(address) }));
    this.#wanted.clear();
    for (const prefix of after) this.#wanted.set(formatPrefix(prefix), prefix);
    this.speaker.changed([...before, ...after]);
  }

  async stop(): Promise<void> {
    await this.speaker.stop();
    this.#kernel.close();
  }
}
