import { ip, type Ip } from '../../../src/lib/ip.ts';
import type { ConnectTcp, TcpHandlers, TcpTarget } from '../../../src/linux/types.ts';
import { decodeMessage, encodeMessage, MessageFramer } from '../../../src/protocols/bgp/codec.ts';
import { openMessage } from '../../../src/protocols/bgp/open.ts';
import type { BgpMessage } from '../../../src/protocols/bgp/types.ts';
import { decodeUpdate } from '../../../src/protocols/bgp/update.ts';

/** The other end of one connection, as the test plays it. */
export class FakeConnection {
  readonly target: TcpTarget;
  readonly #handlers: TcpHandlers;
  readonly #framer = new MessageFramer();
  readonly #heard: BgpMessage[] = [];
  end: 'open' | 'ended' | 'destroyed' = 'open';
  /** What the kernel has not taken. */
  unsentBytes = 0;
  /** Called by `write`, before the bytes arrive. */
  onWrite: (() => void) | undefined;
  #ended: (() => void) | undefined;

  constructor(target: TcpTarget, handlers: TcpHandlers) {
    this.target = target;
    this.#handlers = handlers;
  }

  readonly ours = {
    write: (bytes: Uint8Array): void => {
      this.onWrite?.();
      for (const message of this.#framer.push(bytes)) this.#heard.push(decodeMessage(message));
    },
    end: (): Promise<void> => {
      this.end = 'ended';
      return new Promise((resolve) => {
        this.#ended = resolve;
      });
    },
    destroy: (): void => {
      this.end = 'destroyed';
      this.#ended?.();
    },
  };

  accept(local: Ip = ip('10.0.0.11')): void {
    this.#handlers.connected(local);
  }

  refuse(why = 'connect ECONNREFUSED'): void {
    this.#handlers.closed(why);
  }

  say(...messages: readonly BgpMessage[]): void {
    for (const message of messages) this.#handlers.data(encodeMessage(message));
  }

  bytes(bytes: Uint8Array): void {
    this.#handlers.data(bytes);
  }

  /** The peer has closed its side too. */
  finish(): void {
    this.#ended?.();
  }

  /** Accepts, opens and keeps alive: the session is established when this returns. */
  establish(local?: Ip): void {
    this.accept(local);
    this.say(openOf(65_001), { type: 'keepalive' });
  }

  /** What was sent since the last look, in short. */
  heard(): readonly string[] {
    return this.#heard.splice(0).flatMap(describe);
  }
}

export function openOf(as: number): BgpMessage {
  return openMessage({
    localAs: as,
    peerAs: 0,
    routerId: ip('10.0.0.1'),
    holdTime: 30,
    keepaliveInterval: 10,
    connectRetry: 10,
    families: [4, 6],
    host: 'router',
  });
}

function describe(message: BgpMessage): readonly string[] {
  if (message.type === 'notification') return [`notification ${message.code}/${message.subcode}`];
  if (message.type !== 'update') return [message.type];
  const { withdrawn, attributes, nlri } = decodeUpdate(message.body, 4);
  const texts = [...withdrawn.map((gone) => `- ${gone.address}`)];
  const hop = attributes.find((each) => each.kind === 'next-hop')?.nextHop ?? '';
  texts.push(...nlri.map((route) => `+ ${route.address} via ${hop}`));
  for (const attribute of attributes) {
    if (attribute.kind === 'mp-unreach')
      texts.push(...attribute.withdrawn.map((gone) => `- ${gone.address}`));
    if (attribute.kind === 'mp-reach')
      texts.push(...attribute.nlri.map((route) => `+ ${route.address} via ${attribute.nextHops.join()}`));
  }
  return texts;
}

/** Where sessions connect to in a test. */
export class FakePeers {
  readonly connections: FakeConnection[] = [];
  /** Thrown by the next attempt. */
  failNext: Error | undefined;

  readonly connect: ConnectTcp = (target, handlers) => {
    const { failNext } = this;
    this.failNext = undefined;
    if (failNext !== undefined) throw failNext;
    const connection = new FakeConnection(target, handlers);
    this.connections.push(connection);
    return {
      get unsentBytes() {
        return connection.unsentBytes;
      },
      ...connection.ours,
    };
  };

  get last(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected');
    return connection;
  }
}
