import type { Random } from '../lib/clock.ts';
import { familyOf, ip } from '../lib/ip.ts';
import { errnoOf, KernelError } from './errors.ts';
import { bindToDevice, IPPROTO_IP, IPPROTO_IPV6, setHopLimit, socketAddress } from './internet-socket.ts';
import type { Poller } from './poll.ts';
import { encodeFilter } from './socket-filter.ts';
import * as sys from './sys.ts';
import type { PacketFilter, UdpPath, UdpPathOptions } from './types.ts';

/** Numbers from the kernel's headers. */
const SO_REUSEADDR = 2;
const IP_TOS = 1;
const IPV6_V6ONLY = 26;
const IPV6_TCLASS = 67;
const SKF_NET_OFF = 0xfff0_0000;

/** Internetwork control (RFC 2474 4.2.2.2): what keeps a path alive goes before what uses it. */
const CLASS_SELECTOR_6 = 0xc0;
/** RFC 5082: what comes with it cannot have crossed a router. */
const LARGEST_HOP_LIMIT = 255;
/** RFC 5881 4: source ports. */
const FIRST_SOURCE_PORT = 49_152;
const SOURCE_PORTS = 16_384;
const SOURCE_PORT_TRIES = 16;

const LONGEST_DATAGRAM = 1 << 16;
/** Of what is waiting; the rest is heard in its turn. */
const HEARD_AT_ONCE = 256;

const hearNothing: PacketFilter = [[0x06, 0, 0, 0]];
const hearAll: PacketFilter = [[0x06, 0, 0, 0xffff_ffff]];

/**
 * Datagrams between this node and one other: sent with the largest hop limit from a port of our own, heard on a port
 * that may have many such paths, from this one address only. IP_MINTTL does nothing for UDP, so a filter looks at the
 * hop limit. Throws KernelError, for instance without a route to the other node.
 */
export function openUdpPath(
  poller: Poller,
  random: Random,
  options: UdpPathOptions,
  onDatagram: (bytes: Uint8Array) => void,
): UdpPath {
  const { remote, port } = options;
  const object = `to ${remote} port ${port}`;
  const hearing = hear({ op: 'open UDP socket', object }, options);
  let sending: number;
  try {
    sending = speak({ op: 'open UDP socket', object }, options, random);
  } catch (error) {
    sys.close(hearing);
    throw error;
  }
  const receiving = { op: 'receive datagram', object };
  const reading = poller.read(hearing, {
    doing: receiving,
    onDatagram: (bytes, length) => {
      if (length <= bytes.length) onDatagram(bytes.slice());
    },
    // What the network said about a datagram (RFC 792): whoever expects an answer misses it.
    onError: () => undefined,
  });
  const doing = { op: 'send datagram', object };
  return {
    send: (bytes) => {
      sys.send(doing, sending, bytes);
    },
    hearNow: () => {
      const buffer = new Uint8Array(LONGEST_DATAGRAM);
      for (let n = 0; n < HEARD_AT_ONCE; n++) {
        const length = receive(receiving, hearing, buffer);
        if (length === undefined) return;
        if (length <= buffer.length) onDatagram(buffer.slice(0, length));
      }
    },
    close: () => {
      reading.close();
      sys.close(hearing);
      sys.close(sending);
    },
  };
}

/** As `sys.receive`, but what the network said about a datagram counts as nothing waiting. */
function receive(doing: sys.Doing, fd: number, buffer: Uint8Array): number | undefined {
  try {
    return sys.receive(doing, fd, buffer);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** Connected to the other's address and to no port of it: Linux then compares the address alone. */
function hear(doing: sys.Doing, options: UdpPathOptions): number {
  const { remote, port, scopeId } = options;
  const isIpv4 = familyOf(remote) === 4;
  return prepared(doing, options, (fd) => {
    // Until it is connected it would hear others.
    sys.attachFilter(doing, fd, encodeFilter(hearNothing));
    sys.setSocketNumber(doing, fd, sys.SOL_SOCKET, SO_REUSEADDR, 1);
    sys.bind(doing, fd, localSocketAddress(options, port));
    sys.connect(doing, fd, socketAddress(remote, 0, scopeId));
    const filter = options.isDirect ? fromNeighbour(isIpv4) : hearAll;
    sys.attachFilter(doing, fd, encodeFilter(filter));
  });
}

function speak(doing: sys.Doing, options: UdpPathOptions, random: Random): number {
  const { remote, port, scopeId } = options;
  const isIpv4 = familyOf(remote) === 4;
  return prepared(doing, options, (fd) => {
    setHopLimit(doing, fd, familyOf(remote), LARGEST_HOP_LIMIT);
    const [level, priority] = isIpv4 ? [IPPROTO_IP, IP_TOS] : [IPPROTO_IPV6, IPV6_TCLASS];
    sys.setSocketNumber(doing, fd, level, priority, CLASS_SELECTOR_6);
    bindToSourcePort(doing, fd, options, random);
    sys.connect(doing, fd, socketAddress(remote, port, scopeId));
  });
}

function bindToSourcePort(doing: sys.Doing, fd: number, options: UdpPathOptions, random: Random): void {
  for (let tries = 1; ; tries++) {
    const port = FIRST_SOURCE_PORT + Math.floor(random() * SOURCE_PORTS);
    try {
      sys.bind(doing, fd, localSocketAddress(options, port));
      return;
    } catch (error) {
      const isTaken = error instanceof KernelError && error.errno === errnoOf.EADDRINUSE;
      if (!isTaken || tries === SOURCE_PORT_TRIES) throw error;
    }
  }
}

function prepared(
  doing: sys.Doing,
  { remote, device }: UdpPathOptions,
  prepare: (fd: number) => void,
): number {
  const isIpv4 = familyOf(remote) === 4;
  const fd = sys.socket(doing, isIpv4 ? sys.AF_INET : sys.AF_INET6, sys.SOCK_DGRAM, 0);
  try {
    if (!isIpv4) sys.setSocketNumber(doing, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (device !== undefined) bindToDevice(doing, fd, device);
    prepare(fd);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

function localSocketAddress({ remote, localAddress, scopeId }: UdpPathOptions, port: number): Uint8Array {
  const any = familyOf(remote) === 4 ? '0.0.0.0' : '::';
  return socketAddress(localAddress ?? ip(any), port, localAddress === undefined ? 0 : scopeId);
}

/** Time to live, or hop limit, of the packet that the datagram came in. */
function fromNeighbour(isIpv4: boolean): PacketFilter {
  return [
    [0x30, 0, 0, SKF_NET_OFF + (isIpv4 ? 8 : 7)],
    [0x15, 0, 1, LARGEST_HOP_LIMIT],
    ...hearAll,
    ...hearNothing,
  ];
}
