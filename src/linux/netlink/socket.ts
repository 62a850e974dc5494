import { DecodeError } from '../../lib/errors.ts';
import { errnoOf, KernelError } from '../errors.ts';
import type { Poller } from '../poll.ts';
import * as sys from '../sys.ts';
import type { Doing } from '../sys.ts';
import { encodeFilter } from '../socket-filter.ts';
import type { PacketFilter, Subscription } from '../types.ts';
import { Answers, type NetlinkOutcome, type NetlinkRequest } from './answers.ts';
import * as nl from './message.ts';
import type { NetlinkMessage } from './message.ts';
import { NlReader, NlWriter } from './wire.ts';

export type { NetlinkOutcome, NetlinkRequest } from './answers.ts';

/** Protocol numbers of socket(AF_NETLINK, ...), linux/netlink.h. */
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;

/** Of struct sockaddr_nl. */
const socketAddressBytes = 12;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** Answers are made inside the send call, so this wait is for a kernel that surprises us. */
const answerTimeoutMs = 20;
/** Every message of a batch leaves an answer of about 1 KiB in the receive queue. */
const batchLimit = 256;
const requestQueueBytes = 1 << 20;
/** What fits into the send buffer that every socket has (net.core.wmem_default is 208 KiB, where nobody changed it). */
const usualSendBytes = 64 << 10;
const eventQueueBytes = 8 << 20;
/** How often a dump that changed underneath is read again before that is reported. */
const dumpAttempts = 8;
/** As many bytes as the kernel ever puts into one datagram of a dump, and room for any answer. */
const bufferBytes = 65536;

export interface EventHandlers {
  /** The payload is valid only during the call. */
  readonly onMessage: (message: NetlinkMessage) => void;
  /** Events were lost, and those still queued were dropped as older than the dump that must follow. */
  readonly onLost: () => void;
  /** Something that does not parse; it was dropped. */
  readonly onDecodeError?: (error: DecodeError) => void;
  /** How much the kernel may queue before events are lost; 8 MiB by default. */
  readonly queueBytes?: number | undefined;
  /** Of what the kernel sends, only datagrams that this program accepts are queued at all. */
  readonly filter?: PacketFilter | undefined;
}

/**
 * A netlink protocol (rtnetlink, nfnetlink, generic netlink): requests with their answer in the same
 * synchronous call, asynchronous dumps and subscriptions on descriptors of their own.
 */
export class NetlinkSocket {
  private readonly protocol: number;
  private readonly poller: Poller;
  private readonly fd: number;
  private readonly buffer = new Uint8Array(bufferBytes);
  /** For all batches, one after the other: they are of a size. */
  private readonly writer = new NlWriter();
  /** The kernel's name for whoever asks by this socket, in events too. */
  readonly portId: number;
  private sequence = 1;
  /** The longest datagram that is known to fit. */
  private sendBytes = usualSendBytes;

  constructor(protocol: number, poller: Poller) {
    this.protocol = protocol;
    this.poller = poller;
    this.fd = openSocket(protocol, false);
    sys.enlargeReceiveBuffer(this.fd, requestQueueBytes);
    this.portId = portIdOf(this.fd);
  }

  close(): void {
    sys.close(this.fd);
  }

  /** One request; returns the messages before its acknowledgement, throws KernelError if refused. */
  request(request: NetlinkRequest): readonly NetlinkMessage[] {
    const [outcome] = this.transact([request]);
    if (outcome?.error !== undefined) throw outcome.error;
    return outcome?.replies ?? [];
  }

  /**
   * Independent requests, hundreds to a system call; outcome `i` belongs to request `i`. The kernel takes them in
   * order and tells of every refusal: only the last one is acknowledged, and what was not refused is done then.
   */
  batch(requests: readonly NetlinkRequest[]): readonly NetlinkOutcome[] {
    const outcomes: NetlinkOutcome[] = [];
    for (let from = 0; from < requests.length; from += batchLimit) {
      outcomes.push(...this.exchange(requests.slice(from, from + batchLimit), 'last', this.writer));
    }
    return outcomes;
  }

  /**
   * All requests in one datagram, as an atomic nfnetlink batch must be. With `last` only the last one is acknowledged, and
   * refusals are told all the same: thousands of acknowledgements would not fit into the receive queue.
   */
  transact(requests: readonly NetlinkRequest[], acks: 'each' | 'last' = 'each'): readonly NetlinkOutcome[] {
    return this.exchange(requests, acks, new NlWriter());
  }

  private exchange(
    requests: readonly NetlinkRequest[],
    acks: 'each' | 'last',
    writer: NlWriter,
  ): readonly NetlinkOutcome[] {
    const doing = requests[0]?.doing;
    if (doing === undefined) return [];
    const first = this.sequencesFor(requests.length);
    // What an encoding that failed has left.
    if (writer.length > 0) writer.take();
    const answers = new Answers(requests, first, acks);
    requests.forEach(({ type, flags = 0, payload }, i) => {
      const ack = answers.awaits(i) ? nl.NLM_F_ACK : 0;
      const message = { type, flags: flags | nl.NLM_F_REQUEST | ack, sequence: first + i, payload };
      nl.writeMessage(writer, message);
    });
    const bytes = writer.take();
    if (bytes.length > this.sendBytes) {
      sys.enlargeSendBuffer(this.fd, bytes.length);
      this.sendBytes = bytes.length;
    }
    sys.send(doing, this.fd, bytes);
    while (answers.isWaiting && this.receiveInto(doing, answers));
    return answers.outcomes();
  }

  /**
   * A dump: `decode` turns each message into a value or undefined. Yields to the event loop between
   * datagrams, and starts over when the kernel says that the table changed underneath.
   */
  async dump<T>(
    request: NetlinkRequest,
    decode: (message: NetlinkMessage) => T | undefined,
  ): Promise<readonly T[]> {
    const fd = openSocket(this.protocol, true);
    try {
      for (let attempt = 0; attempt < dumpAttempts; attempt++) {
        const values = await this.dumpOnce(fd, request, decode);
        if (values !== undefined) return values;
      }
    } finally {
      sys.close(fd);
    }
    const kernelText = `the table changed during each of ${dumpAttempts} dumps`;
    throw new KernelError({ ...request.doing, errno: errnoOf.EAGAIN, kernelText });
  }

  /** Joins multicast groups; every message goes to `onMessage` on the event loop, in order. */
  subscribe(doing: Doing, groups: readonly number[], handlers: EventHandlers): Subscription {
    const fd = openSocket(this.protocol, false);
    sys.enlargeReceiveBuffer(fd, handlers.queueBytes ?? eventQueueBytes);
    if (handlers.filter !== undefined) sys.attachFilter(doing, fd, encodeFilter(handlers.filter));
    for (const group of groups) {
      sys.setSocketNumber(doing, fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    }
    const onDatagram = (bytes: Uint8Array): void => deliver(bytes, handlers);
    const onError = (error: KernelError): void => {
      if (error.kind === 'bug') throw error;
      discardQueued(doing, fd);
      handlers.onLost();
    };
    const reading = this.poller.read(fd, { doing, onDatagram, onError });
    let isOpen = true;
    return {
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        reading.close();
        sys.close(fd);
      },
    };
  }

  /** The first of so many in a row; 0 is never one of them. */
  private sequencesFor(count: number): number {
    if (this.sequence + count > 0xffffffff) this.sequence = 0;
    const first = this.sequence + 1;
    this.sequence += count;
    return first;
  }

  /** False when nothing more will come. */
  private receiveInto(doing: Doing, answers: Answers): boolean {
    let length = sys.receive(doing, this.fd, this.buffer);
    if (length === undefined) {
      if (!sys.waitReadable(doing, this.fd, answerTimeoutMs)) return false;
      length = sys.receive(doing, this.fd, this.buffer);
    }
    if (length === undefined) return false;
    for (const message of nl.splitMessages(this.buffer.subarray(0, length))) {
      answers.take(message);
    }
    return true;
  }

  /** undefined when the dump was interrupted. */
  private async dumpOnce<T>(
    fd: number,
    { doing, type, flags, payload }: NetlinkRequest,
    decode: (message: NetlinkMessage) => T | undefined,
  ): Promise<readonly T[] | undefined> {
    const sequence = this.sequencesFor(1);
    const writer = new NlWriter();
    nl.writeMessage(writer, {
      type,
      flags: (flags ?? 0) | nl.NLM_F_REQUEST | nl.NLM_F_DUMP,
      sequence,
      payload,
    });
    sys.send(doing, fd, writer.done());
    const values: T[] = [];
    let isInterrupted = false;
    for (;;) {
      const length = sys.receive(doing, fd, this.buffer);
      if (length === undefined)
        throw new KernelError({ ...doing, errno: errnoOf.EAGAIN, kernelText: 'dump ended early' });
      for (const message of nl.splitMessages(this.buffer.subarray(0, length))) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & nl.NLM_F_DUMP_INTR) !== 0) isInterrupted = true;
        if (message.type === nl.NLMSG_DONE || message.type === nl.NLMSG_ERROR) {
          const { errno, kernelText } = nl.decodeAck(message);
          if (errno !== 0 && errno !== errnoOf.EINTR) throw new KernelError({ ...doing, errno, kernelText });
          return isInterrupted || errno !== 0 ? undefined : values;
        }
        const value = decode(message);
        if (value !== undefined) values.push(value);
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

function openSocket(protocol: number, isStrict: boolean): number {
  const doing = { op: 'open netlink socket', object: `protocol ${protocol}` };
  const fd = sys.socket(doing, sys.AF_NETLINK, sys.SOCK_RAW, protocol);
  try {
    sys.setSocketNumber(doing, fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    sys.setSocketNumber(doing, fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    // Strict checking makes the kernel filter dumps; where it is missing (before 4.20) callers filter.
    // Without a port id of its own a socket receives no multicast: the kernel takes it for the sender.
    sys.bind(doing, fd, netlinkAddress());
    if (isStrict) tryOption(doing, fd, NETLINK_GET_STRICT_CHK);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** struct sockaddr_nl with port id 0: the kernel chooses one. */
function netlinkAddress(): Uint8Array {
  return new NlWriter()
    .u16(sys.AF_NETLINK)
    .zeros(socketAddressBytes - 2)
    .done();
}

/** As `nl_pid` of struct sockaddr_nl says. */
function portIdOf(fd: number): number {
  const doing = { op: 'open netlink socket' };
  const address = new NlReader('sockaddr_nl', sys.boundTo(doing, fd, socketAddressBytes));
  address.skip('family and padding', 4);
  return address.u32('port id');
}

function tryOption(doing: Doing, fd: number, option: number): void {
  try {
    sys.setSocketNumber(doing, fd, SOL_NETLINK, option, 1);
  } catch (error) {
    if (!(error instanceof KernelError && error.kind === 'unsupported')) throw error;
  }
}

function deliver(bytes: Uint8Array, handlers: EventHandlers): void {
  try {
    for (const message of nl.splitMessages(bytes)) {
      if (message.type > nl.NLMSG_DONE) handlers.onMessage(message);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    handlers.onDecodeError?.(error);
  }
}

const discardBuffer = new Uint8Array(16);

/** Empties the queue of a subscription; bounded, since the kernel may fill it meanwhile. */
function discardQueued(doing: Doing, fd: number): void {
  for (let n = 0; n < 100_000; n++) {
    try {
      if (sys.receive(doing, fd, discardBuffer) === undefined) return;
    } catch (error) {
      if (!(error instanceof KernelError) || error.kind === 'bug') throw error;
    }
  }
}
