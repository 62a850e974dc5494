import { AttributeTable, mac, nested, text, u32, u8 } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import type { Mac } from '../../lib/ip.ts';
import type { Link, OperState } from '../types.ts';

const linkInfo = new AttributeTable('rtnetlink link info', { kind: [1, text] });

/** IFLA_*, linux/if_link.h. */
const linkAttributes = new AttributeTable('rtnetlink link', {
  address: [1, mac],
  broadcast: [2, mac],
  name: [3, text],
  mtu: [4, u32],
  master: [10, u32],
  operState: [16, u8],
  info: [18, nested(linkInfo)],
  extMask: [29, u32],
  altName: [53, text],
});

/** RTEXT_FILTER_SKIP_STATS: counters would be most of a dump. */
const skipStats = 8;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_LOWER_UP = 0x10000;

/** IF_OPER_* (RFC 2863) in numeric order. */
const operStates: readonly OperState[] = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
];

const noMac = '' as Mac;

/**
 * Decodes RTM_NEWLINK and RTM_DELLINK; undefined for messages about a link's role in another family:
 * a port that leaves a bridge is announced as RTM_DELLINK of family AF_BRIDGE, and it is not gone.
 */
export function decodeLink(payload: Uint8Array, littleEndian = hostIsLittleEndian): Link | undefined {
  const reader = new NlReader('rtnetlink link', payload, littleEndian);
  const family = reader.u8('family');
  reader.u8('padding');
  const hardwareType = reader.u16('hardware type');
  const index = reader.s32('ifindex');
  const flags = reader.u32('flags');
  reader.u32('change mask');
  if (family !== 0) return undefined;
  const attributes = linkAttributes.decode(reader);
  if (index <= 0) reader.fail('ifindex', `${index} is not positive`);
  if (attributes.name === undefined) return reader.fail('name', 'is missing');
  return {
    index,
    name: attributes.name,
    hardwareType,
    mac: attributes.address ?? noMac,
    broadcast: attributes.broadcast ?? noMac,
    mtu: attributes.mtu ?? 0,
    operState: operStates[attributes.operState ?? 0] ?? 'unknown',
    adminUp: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    kind: attributes.info?.kind,
    master: attributes.master,
  };
}

/** IFNAMSIZ without its NUL: what is longer can only be one of a link's alternative names. */
const longestName = 15;

/** RTM_GETLINK: all links, or the one of this name. */
export function encodeLinkQuery(name?: string, littleEndian = hostIsLittleEndian): Uint8Array {
  const writer = new NlWriter(littleEndian).zeros(16);
  const isLong = Buffer.byteLength(name ?? '') > longestName;
  linkAttributes.encode(writer, { ...(isLong ? { altName: name } : { name }), extMask: skipStats });
  return writer.done();
}
