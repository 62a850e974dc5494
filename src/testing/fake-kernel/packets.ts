import { errnoOf } from '../../linux/errors.ts';
import type { PacketFilter, PacketSocket, PacketSocketOptions } from '../../linux/types.ts';
import { runBpf } from './bpf.ts';
import { isRunning, linkFor, refuse, type FakeWorld } from './world.ts';

export interface SentFrame {
  /** Monotonic milliseconds by the fake's clock. */
  readonly at: number;
  readonly ifindex: number;
  readonly link: string;
  readonly frame: Uint8Array;
}

type Open = Omit<PacketSocketOptions, 'filter'> & { filter?: PacketFilter };

/** Packet sockets: what was sent is recorded, what a test delivers reaches the matching sockets. */
export class FakePackets {
  readonly sent: SentFrame[] = [];
  /** Called for each frame sent, for instance to deliver it to another fake kernel. */
  onSend: (frame: SentFrame) => void = () => undefined;
  private readonly sockets = new Set<Open>();
  private readonly world: FakeWorld;

  constructor(world: FakeWorld) {
    this.world = world;
  }

  get openCount(): number {
    return this.sockets.size;
  }

  open(options: PacketSocketOptions, beforeSend: () => void): PacketSocket {
    linkFor(this.world, 'open packet socket', options.ifindex, `on link ${options.ifindex}`);
    const socket: Open = { ...options };
    this.sockets.add(socket);
    return {
      send: (frame) => {
        beforeSend();
        this.send(socket, frame);
      },
      setFilter: (filter) => {
        if (!this.sockets.has(socket))
          refuse('open packet socket', errnoOf.EBADF, `on link ${options.ifindex}`);
        socket.filter = filter;
      },
      close: () => void this.sockets.delete(socket),
    };
  }

  /** A frame arrives on the link; delivered on a later turn, if the link is up by then. */
  deliver(ifindex: number, frame: Uint8Array): void {
    const copy = frame.slice();
    setImmediate(() => {
      const link = this.world.links.get(ifindex);
      if (link === undefined || !isRunning(link)) return;
      for (const socket of this.sockets) {
        if (socket.ifindex !== ifindex || socket.etherType !== etherTypeOf(copy)) continue;
        if (socket.filter !== undefined && runBpf(socket.filter, copy) === 0) continue;
        socket.onFrame?.(copy.slice());
      }
    });
  }

  private send(socket: Open, frame: Uint8Array): void {
    const object = `on link ${socket.ifindex}`;
    if (!this.sockets.has(socket)) refuse('send packet', errnoOf.EBADF, object);
    const link = this.world.links.get(socket.ifindex) ?? refuse('send packet', errnoOf.ENXIO, object);
    if (!link.adminUp) refuse('send packet', errnoOf.ENETDOWN, object);
    // Without carrier the driver swallows the frame and the call succeeds.
    if (!link.carrier) return;
    const sent = { at: this.world.clock.now(), ifindex: link.index, link: link.name, frame: frame.slice() };
    this.sent.push(sent);
    this.onSend(sent);
  }
}

function etherTypeOf(frame: Uint8Array): number {
  return (frame[12] ?? 0) * 256 + (frame[13] ?? 0);
}
