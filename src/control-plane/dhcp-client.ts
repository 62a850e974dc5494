import type { Clock, Random, Timer } from '../lib/clock.ts';
import { DecodeError, messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { Link, PacketFilter, PacketSocket, PacketSocketOptions } from '../linux/types.ts';
import {
  decodeDhcpFrame,
  encodeDhcpFrame,
  ETHERNET,
  ETHERTYPE_IPV4,
  stepDhcp,
  stoppedDhcp,
  type DhcpContext,
  type DhcpEffect,
  type DhcpEvent,
  type DhcpState,
} from '../protocols/index.ts';

export interface DhcpClientParts {
  /** The link that VIPs are on, as it is now; undefined while there is none. */
  readonly link: () => Link | undefined;
  readonly openPacketSocket: (options: PacketSocketOptions) => PacketSocket;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The address of the name from now on; undefined: it has none any more. */
  readonly leased: (address: Ip | undefined) => void;
  /** No address could be had in all attempts. The client is stopped. */
  readonly gaveUp: (why: string) => void;
  /** Something that is no DHCP came to its port. */
  readonly undecodable: () => void;
}

export interface DhcpClientOptions {
  /** Also the client identifier: every node that holds the VIP is the same client to the server. */
  readonly hostName: string;
  /** `dhcp_backoff_attempts`; 0 is for ever. */
  readonly attempts: number;
}

/** Below the most that a timer takes, 2^31 ms. */
const MAX_TIMER_MS = 86_400_000;

/** Frames that carry UDP over IPv4, unfragmented, to port 68 (bpf(4); linux/bpf_common.h). */
const toClients: PacketFilter = [
  [0x28, 0, 0, 12], // EtherType
  [0x15, 0, 8, 0x0800],
  [0x30, 0, 0, 23], // protocol
  [0x15, 0, 6, 17],
  [0x28, 0, 0, 20], // flags and fragment offset
  [0x45, 4, 0, 0x1fff],
  [0xb1, 0, 0, 14], // x = header length
  [0x48, 0, 0, 16], // destination port
  [0x15, 0, 1, 68],
  [0x06, 0, 0, 0xffff],
  [0x06, 0, 0, 0],
];

/**
 * Drives `stepDhcp` over a packet socket, which needs no address on the link. It runs while this node holds the
 * VIPs: then the address that a server gives to the host name is one of them.
 */
export class DhcpClient {
  private readonly parts: DhcpClientParts;
  private readonly options: DhcpClientOptions;
  private state: DhcpState = stoppedDhcp;
  private link: Link | undefined;
  private socket: PacketSocket | undefined;
  private timer: Timer | undefined;
  /** The last address; a server is asked for it first. */
  private known: Ip | undefined;
  private hasFailed = false;

  constructor(parts: DhcpClientParts, options: DhcpClientOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Asks for an address from now on. */
  start(): void {
    if (this.state.phase !== 'stopped') return;
    try {
      this.open();
    } catch (error) {
      const why = messageOf(error);
      // Never within the call: a tenure that is just beginning cannot be given up yet.
      this.timer = this.parts.clock.after('dhcp', 0, () => {
        this.parts.gaveUp(why);
      });
      return;
    }
    this.take({ kind: 'start', known: this.known });
  }

  /**
   * Asks no more; the address is not used when this returns.
   *
   * @param release gives it back, for whoever is next. Without, the next holder is given the same one.
   */
  stop(release: boolean): void {
    const hadOne = 'lease' in this.state;
    this.take({ kind: 'stop', release });
    if (release) this.known = undefined;
    this.close();
    if (hadOne) this.parts.leased(undefined);
  }

  private open(): void {
    const link = this.parts.link();
    if (link === undefined) throw new Error('its link is gone');
    if (link.hardwareType !== ETHERNET) throw new Error(`${link.name} is no Ethernet link`);
    this.link = link;
    this.socket = this.parts.openPacketSocket({
      ifindex: link.index,
      etherType: ETHERTYPE_IPV4,
      filter: toClients,
      onFrame: (frame) => {
        this.heard(frame);
      },
    });
  }

  private close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.socket?.close();
    this.socket = undefined;
  }

  private heard(frame: Uint8Array): void {
    try {
      this.take({ kind: 'received', packet: decodeDhcpFrame(frame) });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.parts.undecodable();
    }
  }

  private take(event: DhcpEvent): void {
    if (this.link === undefined) return;
    const { clock, random } = this.parts;
    const context: DhcpContext = { now: clock.now(), random, mac: this.link.mac, ...this.options };
    const { state, effects } = stepDhcp(this.state, event, context);
    const isNew = state !== this.state;
    if (state.phase === 'rebinding' && this.state.phase === 'renewing') {
      const { address: vip, endsAt } = state.lease;
      const fields = { name: this.options.hostName, vip, endsInMs: Math.round(endsAt - context.now) };
      this.parts.log.warn('the DHCP server does not renew the address; asking all others', fields);
    }
    this.state = state;
    if (isNew) this.arm();
    for (const effect of effects) this.run(effect, this.link);
  }

  private arm(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.state.phase === 'stopped' || this.state.wakeAt === Infinity) return;
    const restMs = Math.min(this.state.wakeAt - this.parts.clock.now(), MAX_TIMER_MS);
    this.timer = this.parts.clock.after('dhcp', Math.max(0, restMs), () => {
      this.take({ kind: 'tick' });
      if (this.state.phase !== 'stopped') this.arm();
    });
  }

  private run(effect: DhcpEffect, link: Link): void {
    const { log, leased, gaveUp } = this.parts;
    const { hostName } = this.options;
    switch (effect.kind) {
      case 'send':
        this.send(effect, link);
        return;
      case 'leased':
        this.known = effect.address;
        log.info('DHCP gave an address', { name: hostName, vip: effect.address, seconds: effect.seconds });
        leased(effect.address);
        return;
      case 'lost': {
        this.known = undefined;
        const message = 'the address of DHCP may not be used any more; asking for another';
        log.warn(message, { name: hostName, reason: effect.reason });
        leased(undefined);
        return;
      }
      case 'gave-up':
        this.close();
        gaveUp(`no DHCP server on ${link.name} gave an address to ${hostName}`);
    }
  }

  /** What cannot be sent is sent again in its time. */
  private send({ message, from, to, toMac }: Extract<DhcpEffect, { kind: 'send' }>, link: Link): void {
    const { log } = this.parts;
    try {
      this.socket?.send(
        encodeDhcpFrame(
          { hardwareType: ETHERNET, mac: link.mac, broadcast: link.broadcast },
          toMac ?? link.broadcast,
          { from, to, message },
        ),
      );
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed) log.warn('a DHCP message could not be sent', { error: messageOf(error) });
      this.hasFailed = true;
    }
  }
}
