import type { Clock } from '../lib/clock.ts';
import { DecodeError } from '../lib/errors.ts';
import type { Family, Ip } from '../lib/ip.ts';
import { errnoOf, KernelError } from './errors.ts';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type NetlinkMessage } from './netlink/message.ts';
import { NETLINK_ROUTE, NetlinkSocket, type NetlinkRequest } from './netlink/socket.ts';
import { describeAddress, describeNeighbour, describeRoute, describeRule } from './objects.ts';
import { openPacketSocket } from './packet-socket.ts';
import { Poller, type PollerOptions } from './poll.ts';
import * as rtAddress from './rtnetlink/address.ts';
import { withoutEchoOf } from './rtnetlink/echo.ts';
import { decodeEvent, groupsFor } from './rtnetlink/events.ts';
import * as rtm from './rtnetlink/header.ts';
import * as rtLink from './rtnetlink/link.ts';
import * as rtNeighbour from './rtnetlink/neighbour.ts';
import * as rtRoute from './rtnetlink/route.ts';
import * as rtRule from './rtnetlink/rule.ts';
import type { Doing } from './sys.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';
import type * as t from './types.ts';

export interface KernelOptions {
  readonly clock: Clock;
  /** See PollerOptions: the event loop does not report readiness, a slower way is used. */
  readonly onFallback?: (reason: string) => void;
  /** The kernel sent something that does not parse; it was dropped. */
  readonly onDecodeError?: (error: DecodeError) => void;
  readonly forceFallback?: boolean;
  /** Bytes of events the kernel may queue for one watcher before it loses some (then `resync`). */
  readonly eventQueueBytes?: number;
}

export interface OpenKernel extends t.Kernel {
  /** The event loop side, for other netlink protocols on the same kernel. */
  readonly poller: Poller;
  /** Ends all subscriptions and packet sockets too; their owners may still close them, to free descriptors. */
  close(): void;
}

/**
 * The kernel of the network namespace this thread is in, and should stay in: dumps, subscriptions and
 * packet sockets are made when asked for. Throws KernelError when netlink is not available;
 * capabilities are needed only by the calls that change something.
 */
export function openKernel(options: KernelOptions): OpenKernel {
  const { clock, onFallback, forceFallback } = options;
  const pollerOptions: PollerOptions = {
    ...(onFallback === undefined ? {} : { onFallback }),
    ...(forceFallback === undefined ? {} : { forceFallback }),
  };
  return new LinuxKernel(new Poller(clock, pollerOptions), options);
}

interface Watching {
  readonly subscription: t.Subscription;
  readonly listeners: Set<{ readonly tell: (event: t.KernelEvent) => void }>;
}

class LinuxKernel implements OpenKernel {
  readonly poller: Poller;
  private readonly netlink: NetlinkSocket;
  private readonly onDecodeError: (error: DecodeError) => void;
  private readonly eventQueueBytes: number | undefined;
  /** By the kinds of event. */
  private readonly watching = new Map<string, Watching>();

  constructor(poller: Poller, options: KernelOptions) {
    this.poller = poller;
    this.netlink = new NetlinkSocket(NETLINK_ROUTE, poller);
    this.onDecodeError = options.onDecodeError ?? (() => undefined);
    this.eventQueueBytes = options.eventQueueBytes;
  }

  close(): void {
    this.poller.closeAll();
    this.netlink.close();
  }

  links(): Promise<readonly t.Link[]> {
    return this.dump('dump links', rtm.RTM_GETLINK, rtLink.encodeLinkQuery(), rtLink.decodeLink);
  }

  linkByName(name: string): t.Link | undefined {
    const doing = { op: 'find link' satisfies t.KernelOp, object: name };
    try {
      const [reply] = this.netlink.request({
        doing,
        type: rtm.RTM_GETLINK,
        payload: rtLink.encodeLinkQuery(name),
      });
      return reply && rtLink.decodeLink(reply.payload);
    } catch (error) {
      if (error instanceof KernelError && error.errno === errnoOf.ENODEV) return undefined;
      throw error;
    }
  }

  addresses(): Promise<readonly t.Address[]> {
    const query = rtAddress.encodeAddressQuery();
    return this.dump('dump addresses', rtm.RTM_GETADDR, query, rtAddress.decodeAddress);
  }

  setAddress(request: t.AddressRequest): void {
    this.netlink.request(setAddressRequest(request));
  }

  removeAddress(ifindex: number, address: Ip, prefixLength: number): void {
    this.netlink.request(removeAddressRequest({ ifindex, address, prefixLength }));
  }

  setAddresses(requests: readonly t.AddressRequest[]): readonly (KernelError | undefined)[] {
    return this.netlink.batch(requests.map(setAddressRequest)).map(({ error }) => error);
  }

  removeAddresses(keys: readonly t.AddressKey[]): readonly (KernelError | undefined)[] {
    return this.netlink.batch(keys.map(removeAddressRequest)).map(({ error }) => error);
  }

  async routes(filter: t.RouteFilter = {}): Promise<readonly t.Route[]> {
    const { table, protocol, family } = filter;
    const lists = await this.dumpFamilies('dump routes', rtm.RTM_GETROUTE, family, {
      encode: (of) => rtRoute.encodeRouteQuery(of, { table, protocol }),
      decode: rtRoute.decodeRoute,
    });
    // A kernel that does not check strictly has ignored the filter.
    return lists.filter(
      (route) =>
        (table === undefined || route.table === table) &&
        (protocol === undefined || route.protocol === protocol),
    );
  }

  setRoute(route: t.Route): void {
    this.netlink.request(setRouteRequest(route));
  }

  removeRoute(route: t.Route): void {
    this.netlink.request(removeRouteRequest(route));
  }

  setRoutes(routes: readonly t.Route[]): readonly (KernelError | undefined)[] {
    return this.netlink.batch(routes.map(setRouteRequest)).map(({ error }) => error);
  }

  removeRoutes(routes: readonly t.Route[]): readonly (KernelError | undefined)[] {
    return this.netlink.batch(routes.map(removeRouteRequest)).map(({ error }) => error);
  }

  rules(): Promise<readonly t.Rule[]> {
    return this.dumpFamilies('dump rules', rtm.RTM_GETRULE, undefined, {
      encode: rtRule.encodeRuleQuery,
      decode: rtRule.decodeRule,
    });
  }

  addRule(rule: t.Rule): void {
    const doing = { op: 'add rule' satisfies t.KernelOp, object: describeRule(rule) };
    const payload = rtRule.encodeRule(rule);
    this.netlink.request({ doing, type: rtm.RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, payload });
  }

  removeRule(rule: t.Rule): void {
    const doing = { op: 'remove rule' satisfies t.KernelOp, object: describeRule(rule) };
    this.netlink.request({ doing, type: rtm.RTM_DELRULE, payload: rtRule.encodeRule(rule) });
  }

  neighbours(): Promise<readonly t.Neighbour[]> {
    const query = rtNeighbour.encodeNeighbourQuery();
    return this.dump('dump neighbours', rtm.RTM_GETNEIGH, query, rtNeighbour.decodeNeighbour);
  }

  removeNeighbour(ifindex: number, address: Ip): void {
    const doing = {
      op: 'remove neighbour' satisfies t.KernelOp,
      object: describeNeighbour({ ifindex, address }),
    };
    const payload = rtNeighbour.encodeNeighbourKey(ifindex, address);
    this.netlink.request({ doing, type: rtm.RTM_DELNEIGH, payload });
  }

  watch(
    kinds: readonly t.KernelEventKind[],
    onEvent: (event: t.KernelEvent) => void,
    { withoutEcho = false }: t.WatchOptions = {},
  ): t.Subscription {
    const key = [...new Set(kinds)].sort().join() + (withoutEcho ? ' without echo' : '');
    const listener = { tell: onEvent };
    const watching = this.watching.get(key) ?? this.startWatching(key, kinds, withoutEcho);
    watching.listeners.add(listener);
    return {
      close: () => {
        if (!watching.listeners.delete(listener) || watching.listeners.size > 0) return;
        if (this.watching.get(key) === watching) this.watching.delete(key);
        watching.subscription.close();
      },
    };
  }

  /** Everybody who watches the same shares one socket: each event is read and decoded once. */
  private startWatching(key: string, kinds: readonly t.KernelEventKind[], withoutEcho: boolean): Watching {
    const listeners: Watching['listeners'] = new Set();
    const tell = (event: t.KernelEvent): void => {
      for (const listener of listeners) listener.tell(event);
    };
    const doing = { op: 'watch' satisfies t.KernelOp, object: kinds.join(', ') };
    const subscription = this.netlink.subscribe(doing, groupsFor(kinds), {
      onMessage: (message) => {
        const event = this.decoded(() => decodeEvent(message));
        if (event !== undefined) tell(event);
      },
      onLost: () => tell({ kind: 'resync' }),
      onDecodeError: this.onDecodeError,
      queueBytes: this.eventQueueBytes,
      filter: withoutEcho ? withoutEchoOf(this.netlink.portId) : undefined,
    });
    const watching = { subscription, listeners };
    this.watching.set(key, watching);
    return watching;
  }

  openPacketSocket(options: t.PacketSocketOptions): t.PacketSocket {
    return openPacketSocket(this.poller, options);
  }

  readSysctl(name: string): string {
    return readSysctl(name);
  }

  writeSysctl(name: string, value: string): void {
    writeSysctl(name, value);
  }

  private dump<T>(
    op: t.KernelOp,
    type: number,
    payload: Uint8Array,
    decode: (payload: Uint8Array) => T | undefined,
  ): Promise<readonly T[]> {
    const decodeMessage = (message: NetlinkMessage): T | undefined =>
      this.decoded(() => decode(message.payload));
    return this.netlink.dump({ doing: { op }, type, payload }, decodeMessage);
  }

  /** Both families, or one: a kernel built without IPv6 answers with IPv4 objects or a refusal. */
  private async dumpFamilies<T extends { readonly family: Family }>(
    op: t.KernelOp,
    type: number,
    only: Family | undefined,
    codec: { encode: (family: Family) => Uint8Array; decode: (payload: Uint8Array) => T | undefined },
  ): Promise<readonly T[]> {
    const all: T[] = [];
    for (const family of [4, 6] as const) {
      if (only !== undefined && only !== family) continue;
      try {
        const found = await this.dump(op, type, codec.encode(family), codec.decode);
        for (const value of found) if (value.family === family) all.push(value);
      } catch (error) {
        if (!isEmptyAnswer(error)) throw error;
      }
    }
    return all;
  }

  /** One object the decoder does not understand must not hide all the others. */
  private decoded<T>(decode: () => T | undefined): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.onDecodeError(error);
      return undefined;
    }
  }
}

/** A family this kernel was built without, or a table in which nothing was ever put. */
function isEmptyAnswer(error: unknown): boolean {
  return error instanceof KernelError && (error.kind === 'unsupported' || error.errno === errnoOf.ENOENT);
}

function doingTo(op: t.KernelOp, key: t.AddressKey): Doing {
  return { op, object: () => describeAddress(key) };
}

function setAddressRequest(request: t.AddressRequest): NetlinkRequest {
  return {
    doing: doingTo('set address', request),
    type: rtm.RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: rtAddress.encodeAddress(request),
  };
}

function setRouteRequest(route: t.Route): NetlinkRequest {
  return {
    doing: { op: 'set route' satisfies t.KernelOp, object: describeRoute(route) },
    type: rtm.RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: rtRoute.encodeRoute(route),
  };
}

function removeRouteRequest(route: t.Route): NetlinkRequest {
  return {
    doing: { op: 'remove route' satisfies t.KernelOp, object: describeRoute(route) },
    type: rtm.RTM_DELROUTE,
    payload: rtRoute.encodeRouteRemoval(route),
  };
}

function removeAddressRequest(key: t.AddressKey): NetlinkRequest {
  return {
    doing: doingTo('remove address', key),
    type: rtm.RTM_DELADDR,
    payload: rtAddress.encodeAddressKey(key),
  };
}
