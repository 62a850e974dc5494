import { errnoOf, KernelError } from './errors.ts';
import type { Poller } from './poll.ts';
import { encodeFilter } from './socket-filter.ts';
import * as sys from './sys.ts';
import type { PacketFilter, PacketSocket, PacketSocketOptions } from './types.ts';

const SOL_PACKET = 263;
/** Since Linux 4.20. */
const PACKET_IGNORE_OUTGOING = 23;
/** Bytes of received frames the kernel keeps for us; the rest is dropped and counted by the kernel. */
const receiveQueueBytes = 1 << 18;

/**
 * An AF_PACKET socket for whole frames of one EtherType on one link. It hears nothing before it is
 * bound and filtered, and never its own frames.
 */
export function openPacketSocket(poller: Poller, options: PacketSocketOptions): PacketSocket {
  const object = `on link ${options.ifindex}`;
  const doing = { op: 'open packet socket', object };
  // Protocol 0 receives nothing: a filter set after the first frame has arrived would let it through.
  const fd = sys.socket(doing, sys.AF_PACKET, sys.SOCK_RAW, 0);
  let reading = { close: (): void => undefined };
  try {
    ignoreOutgoing(doing, fd);
    if (options.filter !== undefined) sys.attachFilter(doing, fd, encodeFilter(options.filter));
    sys.enlargeReceiveBuffer(fd, receiveQueueBytes);
    sys.bind(
      doing,
      fd,
      linkLayerAddress(options.onFrame === undefined ? 0 : options.etherType, options.ifindex),
    );
    if (options.onFrame !== undefined) reading = startReading(poller, fd, object, options.onFrame);
  } catch (error) {
    sys.closeLater(fd);
    throw error;
  }
  return new OpenPacketSocket(fd, object, reading);
}

class OpenPacketSocket implements PacketSocket {
  private readonly fd: number;
  private readonly object: string;
  private readonly doing: sys.Doing;
  private readonly reading: { close(): void };
  private isOpen = true;

  constructor(fd: number, object: string, reading: { close(): void }) {
    this.fd = fd;
    this.object = object;
    this.doing = { op: 'send packet', object };
    this.reading = reading;
  }

  send(frame: Uint8Array): void {
    const { doing } = this;
    if (!this.isOpen) throw this.closed(doing.op);
    try {
      sys.send(doing, this.fd, frame);
    } catch (error) {
      // The first call after a link flap reports the flap, even if the link is up again by now.
      if (!(error instanceof KernelError && error.errno === errnoOf.ENETDOWN)) throw error;
      sys.send(doing, this.fd, frame);
    }
  }

  setFilter(filter: PacketFilter): void {
    if (!this.isOpen) throw this.closed('open packet socket');
    sys.attachFilter({ op: 'open packet socket', object: this.object }, this.fd, encodeFilter(filter));
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.reading.close();
    sys.closeLater(this.fd);
  }

  private closed(op: string): KernelError {
    return new KernelError({
      op,
      object: this.object,
      errno: errnoOf.EBADF,
      kernelText: 'the socket is closed',
    });
  }
}

function startReading(
  poller: Poller,
  fd: number,
  object: string,
  onFrame: (frame: Uint8Array) => void,
): { close(): void } {
  return poller.read(fd, {
    doing: { op: 'receive packet', object },
    onDatagram: (bytes, length) => {
      // Longer than the buffer is no ARP and no neighbour discovery.
      if (length <= bytes.length) onFrame(bytes.slice());
    },
    // ENETDOWN when the link goes down: the socket hears again as soon as the link is up.
    onError: (error) => {
      if (error.kind === 'bug') throw error;
    },
  });
}

/** struct sockaddr_ll: what to hear and where to send. The protocol is in network byte order. */
function linkLayerAddress(etherType: number, ifindex: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  new Uint16Array(bytes.buffer)[0] = sys.AF_PACKET;
  view.setUint16(2, etherType);
  new Int32Array(bytes.buffer)[1] = ifindex;
  return bytes;
}

function ignoreOutgoing(doing: sys.Doing, fd: number): void {
  try {
    sys.setSocketNumber(doing, fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
  } catch (error) {
    // Older kernels hand us our own frames too, which every receiver recognizes by the sender's MAC.
    if (!(error instanceof KernelError && error.kind === 'unsupported')) throw error;
  }
}
