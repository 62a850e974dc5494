import type { Kernel, Link, PacketSocket } from '../../linux/types.ts';
import { ETHERTYPE_ARP } from '../../protocols/index.ts';

interface Open {
  readonly socket: PacketSocket;
  readonly mac: string;
}

/** One send-only packet socket for each link that VIPs are announced on. */
export class SendSockets {
  private readonly kernel: Pick<Kernel, 'openPacketSocket'>;
  private readonly open = new Map<number, Open>();

  constructor(kernel: Pick<Kernel, 'openPacketSocket'>) {
    this.kernel = kernel;
  }

  /** Throws KernelError; the next frame then gets a new socket. */
  send(link: Link, frame: Uint8Array): void {
    try {
      this.socketFor(link).send(frame);
    } catch (error) {
      this.close(link.index);
      throw error;
    }
  }

  close(ifindex: number): void {
    this.open.get(ifindex)?.socket.close();
    this.open.delete(ifindex);
  }

  closeAll(): void {
    for (const ifindex of [...this.open.keys()]) this.close(ifindex);
  }

  private socketFor(link: Link): PacketSocket {
    const known = this.open.get(link.index);
    if (known?.mac === link.mac) return known.socket;
    this.close(link.index);
    const socket = this.kernel.openPacketSocket({ ifindex: link.index, etherType: ETHERTYPE_ARP });
    this.open.set(link.index, { socket, mac: link.mac });
    return socket;
  }
}
