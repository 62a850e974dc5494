import {
  familyOf,
  formatPrefix,
  hostLength,
  ipFromBytes,
  ipToBytes,
  type Family,
  type Ip,
} from '../../lib/ip.ts';
import { errnoOf } from '../../linux/errors.ts';
import { describeRoute, describeRule } from '../../linux/objects.ts';
import type { Address, KernelOp, Link, NextHop, Route, RouteFilter, Rule } from '../../linux/types.ts';
import { linkFor, refuse, type FakeWorld } from './world.ts';

const mainTable = 254;
const kernelProtocol = 2;
/** RTN_LOCAL. */
const localType = 2;

/** Routes and rules. The local table (the kernel's own book-keeping) is left out. */
export class FakeRoutes {
  private routes: Route[] = [];
  private rules: Rule[] = defaultRules();
  private readonly world: FakeWorld;
  private readonly addresses: { list(): readonly Address[]; isSecondary(address: Address): boolean };

  constructor(world: FakeWorld, addresses: FakeRoutes['addresses']) {
    this.world = world;
    this.addresses = addresses;
  }

  list(filter: RouteFilter = {}): readonly Route[] {
    return [...this.connected(), ...this.routes].filter(
      (route) =>
        (filter.table === undefined || route.table === filter.table) &&
        (filter.protocol === undefined || route.protocol === filter.protocol) &&
        (filter.family === undefined || route.family === filter.family),
    );
  }

  set(wanted: Route): void {
    const object = describeRoute(wanted);
    const nextHops = wanted.nextHops.map((hop) => this.resolve(wanted, hop, object));
    const priority = wanted.priority ?? (wanted.family === 6 ? 1024 : undefined);
    const route: Route = { ...wanted, nextHops, priority };
    if (wanted.family === 4 && wanted.type === localType && wanted.scope !== 'host') {
      refuse('set route', errnoOf.EINVAL, object, 'Invalid scope');
    }
    if (wanted.source !== undefined && !this.addresses.list().some((a) => a.address === wanted.source)) {
      refuse('set route', errnoOf.EINVAL, object, 'Invalid prefsrc address');
    }
    this.routes = this.routes.filter((other) => keyOf(other) !== keyOf(route));
    this.insert(route);
    this.world.events.emit({ kind: 'route', change: 'set', route });
  }

  remove(wanted: Route): void {
    // Without a priority the first route to the destination is meant, whatever its priority is.
    const found = this.routes.find(
      (route) =>
        keyOf(route) === keyOf({ ...wanted, priority: wanted.priority ?? route.priority }) &&
        matches(wanted, route),
    );
    if (found === undefined) refuse('remove route', errnoOf.ESRCH, describeRoute(wanted));
    this.drop(found, true);
  }

  listRules(): readonly Rule[] {
    return [...this.rules].sort((a, b) => a.family - b.family || a.priority - b.priority);
  }

  addRule(wanted: Rule): void {
    // A mark without a mask is compared whole, and shown so.
    const rule = wanted.mark === undefined ? wanted : { ...wanted, markMask: wanted.markMask ?? 0xffffffff };
    if (this.rules.some((other) => sameRule(rule, other))) {
      refuse('add rule', errnoOf.EEXIST, describeRule(rule));
    }
    this.rules.push(rule);
  }

  removeRule(rule: Rule): void {
    const before = this.rules.length;
    const isMeant = (other: Rule): boolean =>
      sameRule({ ...rule, markMask: rule.markMask ?? other.markMask }, other);
    this.rules = this.rules.filter((other) => !isMeant(other));
    if (this.rules.length === before) refuse('remove rule', errnoOf.ENOENT, describeRule(rule));
  }

  /** Linux forgets the IPv4 routes of a downed link without an event, and reports the IPv6 ones. */
  linkDown(ifindex: number): void {
    for (const route of this.through(ifindex)) this.drop(route, route.family === 6);
  }

  /** With its last IPv4 address a link loses its IPv4 routes, silently. */
  lastIpv4Gone(ifindex: number): void {
    for (const route of this.through(ifindex)) if (route.family === 4) this.drop(route, false);
  }

  private through(ifindex: number): readonly Route[] {
    return this.routes.filter((route) => route.nextHops.some((hop) => hop.ifindex === ifindex));
  }

  /** Routes to one destination are in order of priority. */
  private insert(route: Route): void {
    const after = this.routes.findIndex(
      (other) =>
        keyOf({ ...other, priority: 0 }) === keyOf({ ...route, priority: 0 }) &&
        (other.priority ?? 0) > (route.priority ?? 0),
    );
    this.routes.splice(after < 0 ? this.routes.length : after, 0, route);
  }

  private drop(route: Route, isReported: boolean): void {
    this.routes = this.routes.filter((other) => other !== route);
    if (isReported) this.world.events.emit({ kind: 'route', change: 'gone', route });
  }

  /** The prefix routes that come with addresses. */
  private connected(): readonly Route[] {
    return this.addresses.list().flatMap((address) => {
      const link = this.world.links.get(address.ifindex);
      return link === undefined ? [] : this.prefixRoute(address, link);
    });
  }

  private prefixRoute(address: Address, link: Link): readonly Route[] {
    const family = familyOf(address.address);
    if (!link.adminUp || link.loopback || this.addresses.isSecondary(address)) return [];
    if (family === 4 && address.prefixLength === 32) return [];
    return [
      {
        family,
        destination: {
          address: networkOf(address.address, address.prefixLength),
          length: address.prefixLength,
        },
        table: mainTable,
        protocol: kernelProtocol,
        scope: family === 4 ? 'link' : 'global',
        type: 1,
        nextHops: [{ gateway: undefined, ifindex: address.ifindex, weight: 1 }],
        priority: family === 6 ? 256 : undefined,
        source: family === 4 ? address.address : undefined,
        realm: undefined,
      },
    ];
  }

  private resolve(route: Route, hop: NextHop, object: string): NextHop {
    const op: KernelOp = 'set route';
    if (hop.ifindex !== undefined && !linkFor(this.world, op, hop.ifindex, object).adminUp) {
      refuse(op, errnoOf.ENETDOWN, object, 'Device for nexthop is not up.');
    }
    if (hop.gateway === undefined) return hop;
    const gateway = hop.gateway;
    const through = this.list({ family: route.family }).find(
      ({ destination, nextHops }) =>
        destination !== undefined &&
        networkOf(gateway, destination.length) === destination.address &&
        (hop.ifindex === undefined || nextHops.some(({ ifindex }) => ifindex === hop.ifindex)),
    );
    if (through === undefined) {
      const errno = route.family === 4 ? errnoOf.ENETUNREACH : errnoOf.EHOSTUNREACH;
      refuse(op, errno, object, route.family === 4 ? 'Nexthop has invalid gateway.' : undefined);
    }
    return { ...hop, ifindex: hop.ifindex ?? through.nextHops[0]?.ifindex };
  }
}

function keyOf(route: Route): string {
  const to = route.destination === undefined ? 'default' : formatPrefix(route.destination);
  return `${route.family} ${route.table} ${to} ${route.priority ?? 0}`;
}

/** What a removal names must agree: the protocol, and the next hops if it gives any. */
function matches(wanted: Route, route: Route): boolean {
  if (wanted.protocol !== 0 && wanted.protocol !== route.protocol) return false;
  if (wanted.type !== 0 && wanted.type !== route.type) return false;
  return wanted.nextHops.every((hop, i) => {
    const other = route.nextHops[i];
    return other?.gateway === hop.gateway && (hop.ifindex === undefined || other?.ifindex === hop.ifindex);
  });
}

function sameRule(a: Rule, b: Rule): boolean {
  const text = (rule: Rule): string =>
    JSON.stringify([rule.family, rule.priority, rule.table, rule.from, rule.to, rule.mark, rule.markMask]);
  return text(a) === text(b);
}

function defaultRules(): Rule[] {
  const rule = (family: Family, priority: number, table: number): Rule => ({
    family,
    priority,
    table,
    from: undefined,
    to: undefined,
    mark: undefined,
    markMask: undefined,
    protocol: kernelProtocol,
  });
  return [rule(4, 0, 255), rule(4, 32766, 254), rule(4, 32767, 253), rule(6, 0, 255), rule(6, 32766, 254)];
}

function networkOf(address: Ip, length: number): Ip {
  const bytes = ipToBytes(address);
  const masked = bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))));
  return length >= hostLength(address) ? address : ipFromBytes(Uint8Array.from(masked));
}
