import { familyOf, hostLength, type Family, type Ip } from '../../lib/ip.ts';
import { address, AttributeTable, raw, u32, type AttributeType } from '../netlink/attributes.ts';
import { align4, hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import type { NextHop, Route } from '../types.ts';
import { familyFromNumber, familyNumber, scopeFromNumber, scopeNowhere, scopeNumber } from './header.ts';

/** RTA_VIA: a gateway of another family than the route's (struct rtvia). */
const via: AttributeType<Ip> = {
  read: (reader, field) => {
    const family = familyFromNumber(reader.u16('family'));
    const gateway = address.read(reader, field);
    if (familyOf(gateway) !== family) reader.fail(field, 'has an address of another family');
    return gateway;
  },
  write: (writer, gateway) => {
    writer.u16(familyNumber(familyOf(gateway)));
    address.write(writer, gateway);
  },
};

/** RTA_*, linux/rtnetlink.h. */
const routeAttributes = new AttributeTable('rtnetlink route', {
  destination: [1, address],
  outputLink: [4, u32],
  gateway: [5, address],
  priority: [6, u32],
  source: [7, address],
  multipath: [9, raw],
  realm: [11, u32],
  table: [15, u32],
  via: [18, via],
});

const hopAttributes = new AttributeTable('rtnetlink next hop', {
  gateway: [5, address],
  realm: [11, u32],
  via: [18, via],
});

/** RTNH_* header of one path: length, flags, hops, ifindex. */
const hopHeaderLength = 8;
const RTM_F_CLONED = 0x200;

/** Decodes RTM_NEWROUTE and RTM_DELROUTE; undefined for other families and for cached clones. */
export function decodeRoute(payload: Uint8Array, littleEndian = hostIsLittleEndian): Route | undefined {
  const reader = new NlReader('rtnetlink route', payload, littleEndian);
  const family = familyFromNumber(reader.u8('family'));
  const length = reader.u8('destination length');
  reader.u8('source length');
  reader.u8('tos');
  const shortTable = reader.u8('table');
  const protocol = reader.u8('protocol');
  const scope = scopeFromNumber(reader.u8('scope'));
  const type = reader.u8('type');
  const flags = reader.u32('flags');
  if (family === undefined || (flags & RTM_F_CLONED) !== 0) return undefined;
  const attributes = routeAttributes.decode(reader);
  if (attributes.destination !== undefined && familyOf(attributes.destination) !== family) {
    reader.fail('destination', 'is of another family');
  }
  if (length > (family === 4 ? 32 : 128)) reader.fail('destination length', `${length} is too long`);
  if (length > 0 && attributes.destination === undefined) reader.fail('destination', 'is missing');
  return {
    family,
    destination:
      length === 0 || attributes.destination === undefined
        ? undefined
        : { address: attributes.destination, length },
    table: attributes.table ?? shortTable,
    protocol,
    scope,
    type,
    nextHops: decodeHops(attributes, littleEndian),
    priority: attributes.priority,
    source: attributes.source,
    realm: attributes.realm,
  };
}

function decodeHops(
  attributes: ReturnType<typeof routeAttributes.decode>,
  littleEndian: boolean,
): readonly NextHop[] {
  if (attributes.multipath !== undefined) return decodeMultipath(attributes.multipath, littleEndian);
  const gateway = attributes.gateway ?? attributes.via;
  if (gateway === undefined && attributes.outputLink === undefined) return [];
  return [{ gateway, ifindex: attributes.outputLink, weight: 1 }];
}

function decodeMultipath(bytes: Uint8Array, littleEndian: boolean): readonly NextHop[] {
  const reader = new NlReader('rtnetlink multipath', bytes, littleEndian);
  const hops: NextHop[] = [];
  while (reader.remaining > 0) {
    const length = reader.u16('length');
    reader.u8('flags');
    const weight = reader.u8('hops') + 1;
    const ifindex = reader.s32('ifindex');
    if (length < hopHeaderLength) reader.fail('length', `${length} is less than the header`);
    const body = reader.view('attributes', length - hopHeaderLength);
    const inner = hopAttributes.decode(new NlReader('rtnetlink next hop', body, littleEndian));
    reader.skipPadded(align4(length) - length);
    hops.push({ gateway: inner.gateway ?? inner.via, ifindex: ifindex > 0 ? ifindex : undefined, weight });
  }
  return hops;
}

/** The body of RTM_NEWROUTE. */
export function encodeRoute(route: Route, littleEndian = hostIsLittleEndian): Uint8Array {
  return encode(route, scopeNumber(route.scope), littleEndian);
}

/** The body of RTM_DELROUTE: scope "nowhere" matches whatever the route has. */
export function encodeRouteRemoval(route: Route, littleEndian = hostIsLittleEndian): Uint8Array {
  return encode(route, scopeNowhere, littleEndian);
}

function encode(route: Route, scope: number, littleEndian: boolean): Uint8Array {
  const to = route.destination;
  if (to !== undefined && (familyOf(to.address) !== route.family || to.length > hostLength(to.address))) {
    throw new RangeError(`${to.address}/${to.length} is not an IPv${route.family} prefix`);
  }
  const writer = new NlWriter(littleEndian)
    .u8(familyNumber(route.family))
    .u8(to?.length ?? 0)
    .u8(0)
    .u8(0)
    .u8(route.table < 256 ? route.table : 0)
    .u8(route.protocol)
    .u8(scope)
    .u8(route.type)
    .u32(0);
  const [only, ...others] = route.nextHops;
  const single = others.length === 0 ? only : undefined;
  routeAttributes.encode(writer, {
    destination: to?.address,
    outputLink: single?.ifindex,
    ...gatewayAttribute(route.family, single),
    priority: route.priority,
    source: route.source,
    multipath: others.length > 0 ? encodeMultipath(route, littleEndian) : undefined,
    realm: route.realm,
    table: route.table,
  });
  return writer.done();
}

function gatewayAttribute(family: Family, hop: NextHop | undefined): { gateway?: Ip; via?: Ip } {
  if (hop?.gateway === undefined) return {};
  return familyOf(hop.gateway) === family ? { gateway: hop.gateway } : { via: hop.gateway };
}

function encodeMultipath(route: Route, littleEndian: boolean): Uint8Array {
  const writer = new NlWriter(littleEndian);
  for (const hop of route.nextHops) {
    if (!Number.isInteger(hop.weight) || hop.weight < 1 || hop.weight > 256) {
      throw new RangeError(`a next hop's weight is 1 to 256, not ${hop.weight}`);
    }
    const start = writer.length;
    writer
      .u16(0)
      .u8(0)
      .u8(hop.weight - 1)
      .s32(hop.ifindex ?? 0);
    hopAttributes.encode(writer, gatewayAttribute(route.family, hop));
    writer.patchU16(start, writer.length - start);
  }
  return writer.done();
}

/** The body of RTM_GETROUTE for a dump; the kernel filters by table and protocol if it checks strictly. */
export function encodeRouteQuery(
  family: Family,
  {
    table,
    protocol = 0,
  }: { readonly table?: number | undefined; readonly protocol?: number | undefined } = {},
  littleEndian = hostIsLittleEndian,
): Uint8Array {
  const writer = new NlWriter(littleEndian).u8(familyNumber(family)).zeros(4).u8(protocol).zeros(6);
  routeAttributes.encode(writer, { table });
  return writer.done();
}
