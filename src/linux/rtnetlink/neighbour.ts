import { address, AttributeTable, mac } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import { familyOf, type Ip } from '../../lib/ip.ts';
import type { Neighbour, NeighbourState } from '../types.ts';
import { familyFromNumber, familyNumber } from './header.ts';

/** NDA_*, linux/neighbour.h. */
export const neighbourAttributes = new AttributeTable('rtnetlink neighbour', {
  address: [1, address],
  linkAddress: [2, mac],
});

/** NUD_*: a bit each. */
const states: readonly (readonly [number, NeighbourState])[] = [
  [0x01, 'incomplete'],
  [0x02, 'reachable'],
  [0x04, 'stale'],
  [0x08, 'delay'],
  [0x10, 'probe'],
  [0x20, 'failed'],
  [0x40, 'noarp'],
  [0x80, 'permanent'],
];

/** Decodes RTM_NEWNEIGH and RTM_DELNEIGH; undefined for other families (a bridge's forwarding table). */
export function decodeNeighbour(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): Neighbour | undefined {
  const reader = new NlReader('rtnetlink neighbour', payload, littleEndian);
  const family = familyFromNumber(reader.u8('family'));
  reader.u8('padding');
  reader.u16('padding');
  const ifindex = reader.s32('ifindex');
  const stateBits = reader.u16('state');
  reader.u8('flags');
  reader.u8('type');
  if (family === undefined) return undefined;
  const attributes = neighbourAttributes.decode(reader);
  if (attributes.address === undefined) return reader.fail('address', 'is missing');
  return {
    ifindex,
    address: attributes.address,
    mac: attributes.linkAddress === '' ? undefined : attributes.linkAddress,
    state: states.find(([bit]) => (stateBits & bit) !== 0)?.[1] ?? 'none',
  };
}

/** The body of RTM_GETNEIGH for a dump of all links and families. */
export function encodeNeighbourQuery(): Uint8Array {
  return new Uint8Array(12);
}

/** The body of a request about one entry, in no state: struct ndmsg and NDA_DST. */
export function encodeNeighbourKey(ifindex: number, address: Ip, ndmFlags = 0): Uint8Array {
  const writer = new NlWriter();
  writer
    .u8(familyNumber(familyOf(address)))
    .u8(0)
    .u16(0)
    .s32(ifindex)
    .u16(0)
    .u8(ndmFlags)
    .u8(0);
  neighbourAttributes.encode(writer, { address });
  return writer.done();
}
