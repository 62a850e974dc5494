import type { Clock, Random, Timer } from '../../lib/clock.ts';
import { messageOf, type DecodeError } from '../../lib/errors.ts';
import { familyOf, type Family, type Ip, type Prefix } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { ConnectTcp, OpenUdpPath, TcpConnection } from '../../linux/types.ts';
import {
  advertiseRoutes,
  BgpDecodeError,
  decodeMessage,
  encodeMessage,
  MessageFramer,
  stepSession,
  stoppedSession,
  withdrawRoutes,
  type BgpMessage,
  type Negotiated,
  type SessionConfig,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  type SessionTimer,
} from '../../protocols/index.ts';
import { AdjRibOut } from './adj-rib-out.ts';
import { BfdSession } from './bfd-session.ts';
import type { PeerConfig, PeerStatus, RoutesView } from './types.ts';

export interface PeerParts {
  readonly connect: ConnectTcp;
  readonly openUdpPath: OpenUdpPath;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly view: RoutesView;
  /** Index of a link by name, for link-local peers. */
  readonly linkIndex: (name: string) => number | undefined;
  readonly onDecodeError?: (error: DecodeError) => void;
}

/** RFC 4486: who runs this program has taken the peer out of its configuration, in effect. */
const PEER_DECONFIGURED = 3;
/** A peer that does not read gets no more than this kept for it. */
const MAX_UNSENT_BYTES = 1 << 20;
/** How long a connection may take to end after the last word. */
const LINGER_MS = 1000;
/** All requests of this time for the routes of a family are one: each answer is the whole table. */
const REFRESH_MS = 100;

/** One session: the machine's effects made real, and the routes that this peer has been told of. */
export class Peer {
  private readonly parts: PeerParts;
  private readonly config: PeerConfig;
  private readonly session: SessionConfig;
  private readonly log: Logger;
  private readonly rib = new AdjRibOut();
  private readonly bfd: BfdSession | undefined;
  private readonly timers = new Map<SessionTimer, Timer>();
  /** Families whose routes the peer has asked for again. */
  private readonly asked = new Set<Family>();
  private readonly mailbox: SessionEvent[] = [];
  private isBusy = false;
  private state: SessionState = stoppedSession;
  private connection: TcpConnection | undefined;
  private local: Ip | undefined;
  /** Connections that are saying their last word. */
  private readonly ending = new Set<Promise<void>>();
  private isLeaving = false;
  private since: number;
  private reason = 'not started';
  private sessions = 0;
  /** The failure that was logged and not yet followed by a session. */
  private complaint: string | undefined;

  constructor(parts: PeerParts, config: PeerConfig, session: SessionConfig) {
    this.parts = parts;
    this.config = config;
    this.session = session;
    this.since = parts.clock.now();
    this.log = parts.log;
    const { bfd, address, localAddress, device } = config;
    if (bfd === undefined) return;
    this.bfd = new BfdSession(parts, { ...bfd, address, localAddress, device }, (why) => {
      this.dispatch({ kind: 'pathLost', why });
    });
  }

  start(): void {
    this.bfd?.start();
    this.dispatch({ kind: 'start' });
  }

  /** Tells the peer what has become of these prefixes; it knows, or will, when this returns. */
  changed(prefixes: readonly Prefix[]): void {
    if (this.state.kind === 'established') this.tell(this.state.negotiated, prefixes);
  }

  /** Withdraws everything, says Cease, and resolves when the connection is gone: within a second. */
  async stop(): Promise<void> {
    this.isLeaving = true;
    this.changed(this.rib.prefixes());
    this.dispatch({ kind: 'stop', subcode: PEER_DECONFIGURED });
    this.bfd?.stop();
    await Promise.all(this.ending);
  }

  knows(prefix: Prefix): boolean {
    return this.rib.has(prefix);
  }

  status(): PeerStatus {
    const { state, config } = this;
    const negotiated = state.kind === 'established' ? state.negotiated : undefined;
    return {
      address: config.address,
      port: config.port,
      as: negotiated?.peerAs ?? config.as,
      state: state.kind,
      since: this.since,
      reason: this.reason,
      routerId: negotiated?.peerRouterId,
      holdTime: negotiated?.holdTime,
      bfd: this.bfd?.stateName,
      sessions: this.sessions,
      advertised: this.rib.routes(),
    };
  }

  /** Events of one turn are taken one after the other: an effect may cause the next. */
  private dispatch(event: SessionEvent): void {
    this.mailbox.push(event);
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      for (let next = this.mailbox.shift(); next !== undefined; next = this.mailbox.shift()) this.take(next);
    } finally {
      this.isBusy = false;
    }
  }

  private take(event: SessionEvent): void {
    const before = this.state;
    const step = stepSession(before, event, { config: this.session, random: this.parts.random });
    this.state = step.state;
    const hasMoved = before.kind !== step.state.kind;
    // An attempt that hangs makes room for the next one: that is no other state, but news.
    if (hasMoved || step.reason === 'not connected') {
      if (hasMoved) this.since = this.parts.clock.now();
      this.reason = step.detail === undefined ? step.reason : `${step.reason}: ${step.detail}`;
      // The next session knows nothing.
      if (before.kind === 'established') this.rib.clear();
      this.report(before);
    }
    for (const effect of step.effects) this.run(effect);
  }

  private run(effect: SessionEffect): void {
    switch (effect.kind) {
      case 'connect':
        this.connect();
        return;
      case 'disconnect':
        this.disconnect();
        return;
      case 'send':
        this.send(effect.message);
        return;
      case 'timer':
        this.arm(effect.timer, effect.ms);
        return;
      case 'established':
        this.tell(effect.negotiated, this.parts.view.all());
        return;
      case 'refresh':
        this.refresh(effect.family);
    }
  }

  private refresh(family: Family): void {
    if (this.asked.has(family)) return;
    this.asked.add(family);
    this.parts.clock.after('bgp-refresh', REFRESH_MS, () => {
      this.asked.delete(family);
      if (this.state.kind === 'established') this.tell(this.state.negotiated, this.rib.forget(family));
    });
  }

  private arm(name: SessionTimer, ms: number | undefined): void {
    this.timers.get(name)?.cancel();
    this.timers.delete(name);
    if (ms === undefined) return;
    const timer = this.parts.clock.after(`bgp-${name}`, ms, () => {
      this.dispatch({ kind: 'timer', timer: name });
    });
    this.timers.set(name, timer);
  }

  private connect(): void {
    const { address, port, password, ttl, localAddress, device } = this.config;
    const framer = new MessageFramer();
    this.local = undefined;
    const scopeId = device === undefined ? undefined : this.parts.linkIndex(device);
    try {
      this.connection = this.parts.connect(
        {
          remote: address,
          port,
          ...(password === '' ? {} : { md5Password: password }),
          ...(ttl === undefined ? {} : { ttl }),
          ...(localAddress === undefined ? {} : { localAddress }),
          ...(device === undefined ? {} : { device }),
          ...(scopeId === undefined ? {} : { scopeId }),
        },
        {
          connected: (local) => {
            this.local = local;
            this.dispatch({ kind: 'connected' });
          },
          data: (bytes) => {
            this.hear(framer, bytes);
          },
          closed: (why) => {
            this.connection = undefined;
            this.dispatch({ kind: 'disconnected', why });
          },
        },
      );
    } catch (error) {
      if (!isKernelError(error)) throw error;
      this.dispatch({ kind: 'disconnected', why: messageOf(error) });
    }
  }

  private hear(framer: MessageFramer, bytes: Uint8Array): void {
    try {
      // What follows the message that ended the session means nothing to the machine.
      for (const message of framer.push(bytes)) {
        this.dispatch({ kind: 'message', message: decodeMessage(message) });
      }
    } catch (error) {
      if (!(error instanceof BgpDecodeError)) throw error;
      this.parts.onDecodeError?.(error);
      this.dispatch({ kind: 'garbage', notification: error.notification, why: error.message });
    }
  }

  private disconnect(): void {
    const { connection } = this;
    this.connection = undefined;
    if (connection === undefined) return;
    if (this.local === undefined) {
      connection.destroy();
      return;
    }
    this.local = undefined;
    const linger = this.parts.clock.after('bgp-linger', LINGER_MS, () => {
      connection.destroy();
    });
    const ended = connection.end().then(() => {
      linger.cancel();
      this.ending.delete(ended);
    });
    this.ending.add(ended);
  }

  private send(message: BgpMessage): void {
    const { connection } = this;
    if (connection === undefined) return;
    connection.write(encodeMessage(message));
    if (connection.unsentBytes <= MAX_UNSENT_BYTES) return;
    connection.destroy();
    this.connection = undefined;
    this.dispatch({ kind: 'disconnected', why: 'the peer does not read what it is sent' });
  }

  /** Routes of a family that the peer does not speak, or that has no next hop here, are not its business. */
  private tell(negotiated: Negotiated, prefixes: readonly Prefix[]): void {
    const context = { localAs: this.session.localAs, negotiated };
    const view = this.isLeaving ? nothing : this.parts.view;
    const messages: BgpMessage[] = [];
    for (const family of negotiated.families) {
      const nextHop = this.nextHop(family);
      if (nextHop === undefined) continue;
      const ours = prefixes.filter(({ address }) => familyOf(address) === family);
      const { withdraw, advertise } = this.rib.difference(ours, view);
      this.rib.withdrawn(withdraw);
      this.rib.advertised(advertise, nextHop);
      messages.push(...withdrawRoutes(context, family, withdraw));
      messages.push(...advertiseRoutes(context, family, advertise, nextHop));
      if (withdraw.length > 0) this.log.debug('withdrawn', { prefixes: withdraw.length });
      if (advertise.length > 0) this.log.debug('advertised', { prefixes: advertise.length, nextHop });
    }
    // All was noted first: sending may end the session, and with it all that the peer knew.
    for (const message of messages) this.send(message);
  }

  private nextHop(family: Family): Ip | undefined {
    const { ipv4, ipv6 } = this.config.nextHops;
    const chosen = family === 4 ? ipv4 : ipv6;
    if (chosen !== undefined) return chosen;
    return this.local !== undefined && familyOf(this.local) === family ? this.local : undefined;
  }

  private report(before: SessionState): void {
    const { reason } = this;
    if (this.state.kind === 'established') {
      this.sessions++;
      this.complaint = undefined;
      this.log.info('BGP session established', { as: this.state.negotiated.peerAs });
    } else if (before.kind === 'established') {
      if (this.isLeaving) this.log.info('BGP session closed');
      else this.log.warn('BGP session lost, trying again', { reason });
    } else if (isOver(this.state, before) && !this.isLeaving) {
      // How a peer closes that does not want to talk differs from time to time.
      const complaint = reason.startsWith('connection lost') ? 'connection lost' : reason;
      if (this.complaint === complaint) return;
      this.complaint = complaint;
      this.log.warn('no BGP session, trying again', { reason });
    }
  }
}

/** An attempt has failed, be it that the next one follows at once. */
function isOver({ kind }: SessionState, before: SessionState): boolean {
  return kind === 'active' || kind === 'idle' || kind === before.kind;
}

const nothing: Pick<RoutesView, 'wants'> = { wants: () => false };
