import { backoffMs } from '../../lib/backoff.ts';
import { ip, type Ip, type Mac } from '../../lib/ip.ts';
import type { DhcpMessage, DhcpPacket } from './types.ts';

/*
 *            start ──► rebooting (an address is known) ──ack──────────────► bound ◄──ack── renewing ◄─ T1
 *              │           │ nak, silence                                     │                │ T2
 *              ▼           ▼                                                  │            rebinding
 *          selecting ──offer──► requesting ──ack──► bound                     │ nak            │ nak, end
 *              ▲  │ silence         │ nak, silence                            ▼                ▼
 *              │  └──► pausing ◄────┘                                     selecting, without the address
 *              └───────── │ ──► stopped, after so many attempts
 *
 * RFC 2131 4.4. One deadline, `wakeAt`, belongs to each state: a tick before it means nothing.
 */

/** Times are monotonic milliseconds. */
export interface DhcpLease {
  readonly address: Ip;
  readonly server: Ip;
  /** The next hop on the way to it: the server itself, or a relay. */
  readonly serverMac: Mac;
  /** Infinity: never. */
  readonly renewAt: number;
  readonly rebindAt: number;
  readonly endsAt: number;
}

interface Exchange {
  readonly xid: number;
  readonly startedAt: number;
  /** Transmissions so far. */
  readonly sent: number;
  /** The first of this exchange; a lease counts from it. */
  readonly firstSentAt: number;
  readonly wakeAt: number;
}

interface Asking extends Exchange {
  /** 1 is the first. */
  readonly attempt: number;
}

export type DhcpState =
  | { readonly phase: 'stopped' }
  | { readonly phase: 'pausing'; readonly attempt: number; readonly wakeAt: number }
  | (Asking & { readonly phase: 'selecting' })
  | (Asking & { readonly phase: 'requesting'; readonly address: Ip; readonly server: Ip })
  | (Asking & { readonly phase: 'rebooting'; readonly address: Ip })
  | { readonly phase: 'bound'; readonly lease: DhcpLease; readonly wakeAt: number }
  | (Exchange & { readonly phase: 'renewing' | 'rebinding'; readonly lease: DhcpLease });

export type DhcpEvent =
  /** `known`: the address that it had. */
  | { readonly kind: 'start'; readonly known: Ip | undefined }
  | { readonly kind: 'received'; readonly packet: DhcpPacket }
  | { readonly kind: 'tick' }
  | { readonly kind: 'stop'; readonly release: boolean };

export type DhcpEffect =
  | {
      readonly kind: 'send';
      readonly message: DhcpMessage;
      readonly from: Ip;
      readonly to: Ip;
      readonly toMac: Mac | undefined;
    }
  /** The address may be used from now on, instead of another one. */
  | { readonly kind: 'leased'; readonly address: Ip; readonly seconds: number }
  /** It may not be used any more. */
  | { readonly kind: 'lost'; readonly reason: DhcpLossReason }
  | { readonly kind: 'gave-up' };

export type DhcpLossReason = 'refused' | 'ended';

export interface DhcpContext {
  readonly now: number;
  readonly random: () => number;
  readonly mac: Mac;
  readonly hostName: string;
  /** How often to ask from the beginning; 0 is for ever. */
  readonly attempts: number;
}

export interface DhcpStep {
  readonly state: DhcpState;
  readonly effects: readonly DhcpEffect[];
}

export const stoppedDhcp: DhcpState = { phase: 'stopped' };

const NONE = ip('0.0.0.0');
const EVERYBODY = ip('255.255.255.255');
const FOREVER = 0xffffffff;
/** Where a server does not say how long. */
const USUAL_LEASE_S = 3600;
const MAX_MESSAGE_BYTES = 1500;
/** RFC 2131 4.1: 4 s, doubled each time, give or take one. */
const RESEND_MS = 4000;
const JITTER_MS = 1000;
/** Transmissions of one exchange: of an attempt, and of one that an address is known for. */
const MAX_SENT = 3;
const MAX_SENT_REBOOTING = 1;
/** RFC 2131 4.4.5. */
const LEAST_RENEWAL_PAUSE_MS = 60_000;
const pauses = { baseMs: 20_000, maxMs: 120_000 };

/** The client's next state, and what to do about it. An event that means nothing in the state changes nothing. */
export function stepDhcp(state: DhcpState, event: DhcpEvent, context: DhcpContext): DhcpStep {
  switch (event.kind) {
    case 'start':
      if (state.phase !== 'stopped') return unchanged(state);
      return event.known === undefined ? select(1, context) : reboot(event.known, context);
    case 'stop':
      return stop(state, event.release, context);
    case 'tick':
      if (state.phase === 'stopped' || context.now < state.wakeAt) return unchanged(state);
      return wake(state, context);
    case 'received':
      return receive(state, event.packet, context);
  }
}

function unchanged(state: DhcpState): DhcpStep {
  return { state, effects: [] };
}

function stop(state: DhcpState, release: boolean, context: DhcpContext): DhcpStep {
  if (!release || !('lease' in state)) return { state: stoppedDhcp, effects: [] };
  const { address, server, serverMac } = state.lease;
  const fields = {
    type: 'release' as const,
    xid: newXid(context),
    secs: 0,
    ciaddr: address,
    serverId: server,
  };
  const message = messageOf(fields, context);
  return {
    state: stoppedDhcp,
    effects: [{ kind: 'send', message, from: address, to: server, toMac: serverMac }],
  };
}

function wake(state: Exclude<DhcpState, { phase: 'stopped' }>, context: DhcpContext): DhcpStep {
  switch (state.phase) {
    case 'pausing':
      return select(state.attempt + 1, context);
    case 'selecting':
    case 'requesting':
      return state.sent < MAX_SENT
        ? ask({ ...state, sent: state.sent + 1 }, context)
        : pause(state.attempt, context);
    case 'rebooting':
      if (state.sent < MAX_SENT_REBOOTING) return ask({ ...state, sent: state.sent + 1 }, context);
      return select(state.attempt, context);
    case 'bound':
    case 'renewing':
    case 'rebinding':
      // Also where the process was asleep meanwhile: nothing is asked from an address whose lease has ended.
      if (context.now >= state.lease.endsAt) return lose('ended', context);
      return extend(state.lease, state.phase === 'bound' ? exchange(context) : state, context);
  }
}

function select(attempt: number, context: DhcpContext): DhcpStep {
  return ask({ phase: 'selecting', attempt, ...exchange(context), sent: 1 }, context);
}

function reboot(address: Ip, context: DhcpContext): DhcpStep {
  return ask({ phase: 'rebooting', attempt: 1, address, ...exchange(context), sent: 1 }, context);
}

function pause(attempt: number, context: DhcpContext): DhcpStep {
  if (context.attempts !== 0 && attempt >= context.attempts)
    return { state: stoppedDhcp, effects: [{ kind: 'gave-up' }] };
  const wakeAt = context.now + backoffMs(attempt, pauses, context.random);
  return { state: { phase: 'pausing', attempt, wakeAt }, effects: [] };
}

function lose(reason: DhcpLossReason, context: DhcpContext): DhcpStep {
  const { state, effects } = select(1, context);
  return { state, effects: [{ kind: 'lost', reason }, ...effects] };
}

type AskingState = Extract<DhcpState, { phase: 'selecting' | 'requesting' | 'rebooting' }>;

/** Sends what the state asks for, once more. */
function ask(state: AskingState, context: DhcpContext): DhcpStep {
  const delay = RESEND_MS * 2 ** (state.sent - 1) + (2 * context.random() - 1) * JITTER_MS;
  const fields = {
    type: state.phase === 'selecting' ? ('discover' as const) : ('request' as const),
    xid: state.xid,
    secs: Math.floor((context.now - state.startedAt) / 1000),
    ciaddr: NONE,
    ...(state.phase === 'selecting' ? {} : { requestedIp: state.address }),
    ...(state.phase === 'requesting' ? { serverId: state.server } : {}),
  };
  return {
    state: { ...state, wakeAt: context.now + delay },
    effects: [
      { kind: 'send', message: messageOf(fields, context), from: NONE, to: EVERYBODY, toMac: undefined },
    ],
  };
}

/** RENEWING asks the server that gave the address, REBINDING whoever hears it. */
function extend(lease: DhcpLease, former: Exchange, context: DhcpContext): DhcpStep {
  const { now } = context;
  const phase = now >= lease.rebindAt ? ('rebinding' as const) : ('renewing' as const);
  const until = phase === 'renewing' ? lease.rebindAt : lease.endsAt;
  const wakeAt = Math.min(until, now + Math.max(LEAST_RENEWAL_PAUSE_MS, (until - now) / 2));
  const secs = Math.floor((now - former.startedAt) / 1000);
  const message = messageOf({ type: 'request', xid: former.xid, secs, ciaddr: lease.address }, context);
  const [to, toMac] = phase === 'renewing' ? [lease.server, lease.serverMac] : [EVERYBODY, undefined];
  return {
    state: { ...former, phase, lease, sent: former.sent + 1, wakeAt },
    effects: [{ kind: 'send', message, from: lease.address, to, toMac }],
  };
}

function receive(state: DhcpState, { message, fromMac }: DhcpPacket, context: DhcpContext): DhcpStep {
  if (!('xid' in state) || message.op !== 'reply') return unchanged(state);
  if (message.xid !== state.xid || message.chaddr !== context.mac) return unchanged(state);
  if (state.phase === 'selecting') {
    const { type, serverId, yiaddr } = message;
    if (type !== 'offer' || serverId === undefined || !isUsable(message)) return unchanged(state);
    const { attempt, xid, startedAt } = state;
    const request = { attempt, xid, startedAt, sent: 1, firstSentAt: context.now, wakeAt: 0 };
    return ask({ phase: 'requesting', address: yiaddr, server: serverId, ...request }, context);
  }
  if (message.type === 'nak') {
    if ('lease' in state) return lose('refused', context);
    return state.phase === 'rebooting' ? select(state.attempt, context) : pause(state.attempt, context);
  }
  if (message.type !== 'ack' || !isUsable(message)) return unchanged(state);
  return bind(state, message, fromMac);
}

/** RFC 2131 4.4.1: the lease counts from when it was asked for. */
function bind(
  state: Exclude<Extract<DhcpState, Exchange>, { phase: 'selecting' }>,
  message: DhcpMessage,
  fromMac: Mac,
): DhcpStep {
  const server = message.serverId ?? ('lease' in state ? state.lease.server : undefined);
  if (server === undefined) return unchanged(state);
  const seconds = message.leaseSeconds ?? USUAL_LEASE_S;
  const from = state.firstSentAt;
  const at = (part: number): number => (seconds === FOREVER ? Infinity : from + part * 1000);
  const [renew, rebind] = timersOf(message, seconds);
  const lease: DhcpLease = {
    address: message.yiaddr,
    server,
    serverMac: fromMac,
    renewAt: at(renew),
    rebindAt: at(rebind),
    endsAt: at(seconds),
  };
  const isNew = !('lease' in state) || state.lease.address !== lease.address;
  return {
    state: { phase: 'bound', lease, wakeAt: lease.renewAt },
    effects: isNew ? [{ kind: 'leased', address: lease.address, seconds }] : [],
  };
}

/** T1 and T2 in seconds: what the server says, where that makes sense, else half and 7/8 (RFC 2131 4.4.5). */
function timersOf({ renewSeconds, rebindSeconds }: DhcpMessage, seconds: number): readonly [number, number] {
  const rebind = rebindSeconds !== undefined && rebindSeconds < seconds ? rebindSeconds : (seconds * 7) / 8;
  const renew = renewSeconds !== undefined && renewSeconds < rebind ? renewSeconds : seconds / 2;
  return renew > 0 && renew < rebind ? [renew, rebind] : [seconds / 2, (seconds * 7) / 8];
}

/** An address that a link can have, for some time. */
function isUsable({ yiaddr, leaseSeconds }: DhcpMessage): boolean {
  const first = Number(yiaddr.split('.')[0]);
  return first !== 0 && first !== 127 && first < 224 && leaseSeconds !== 0;
}

function exchange(context: DhcpContext): Exchange {
  const { now } = context;
  return { xid: newXid(context), startedAt: now, sent: 0, firstSentAt: now, wakeAt: 0 };
}

function newXid({ random }: DhcpContext): number {
  return Math.floor(random() * 2 ** 32);
}

type Fields = Pick<DhcpMessage, 'type' | 'xid' | 'secs' | 'ciaddr' | 'requestedIp' | 'serverId'>;

/** CP-145: the host name is the client identifier, so every node that holds the VIP is the same client. */
function messageOf(fields: Fields, { mac, hostName }: DhcpContext): DhcpMessage {
  const clientId = new TextEncoder().encode(hostName);
  const isQuestion = fields.type !== 'release';
  return {
    ...{ op: 'request', yiaddr: NONE, chaddr: mac, clientId, ...fields },
    ...(isQuestion ? { hostName, maxMessageBytes: MAX_MESSAGE_BYTES } : {}),
  };
}
