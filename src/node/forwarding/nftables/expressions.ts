import { hash } from 'node:crypto';
import type { Hex, NftExpression, NftRule, NftVerdict, Register } from '../../../linux/index.ts';
import { hostU32, linkNameHex } from './data.ts';

export type L3 = 'ip' | 'ip6';

/** Where the addresses stand in the header, and how many registers one takes. */
const header = {
  ip: { source: 12, destination: 16, bytes: 4, words: 1 },
  ip6: { source: 8, destination: 24, bytes: 16, words: 4 },
} as const;

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const ACK = 0x10;

/** Registers that an address takes. */
export function wordsOf(l3: L3): number {
  return header[l3].words;
}

export function typeOf(l3: L3): 'ipv4_addr' | 'ipv6_addr' {
  return l3 === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
}

/** A rule that is known again by its comment: the text, and a fingerprint of all it does. */
export function rule(text: string, ...parts: readonly (readonly NftExpression[])[]): NftRule {
  const expressions = parts.flat();
  const fingerprint = hash('sha256', JSON.stringify(expressions), 'hex').slice(0, 8);
  return { comment: `${text} #${fingerprint}`, expressions };
}

/** IANA protocol numbers. */
export const protocolNumber = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const;

export const isTcp = isTransport('tcp');

export function isTransport(protocol: keyof typeof protocolNumber): readonly NftExpression[] {
  return [
    { op: 'meta', key: 'l4proto', to: 0 },
    { op: 'cmp', register: 0, is: '==', value: protocolNumber[protocol].toString(16).padStart(2, '0') },
  ];
}

/** The EtherType, which a netdev chain has to check before it reads a network header. */
export function isProtocol(l3: L3): readonly NftExpression[] {
  return [
    { op: 'meta', key: 'protocol', to: 0 },
    { op: 'cmp', register: 0, is: '==', value: l3 === 'ip' ? '0800' : '86dd' },
  ];
}

/** Sent to this host's own link-layer address (PACKET_HOST), and not seen by chance. */
export const isForUs: readonly NftExpression[] = [
  { op: 'meta', key: 'pkttype', to: 0 },
  { op: 'cmp', register: 0, is: '==', value: '00' },
];

function flags(mask: number, is: '==' | '!=', value: number): readonly NftExpression[] {
  const hex = (byte: number): Hex => byte.toString(16).padStart(2, '0');
  return [
    { op: 'payload', base: 'transport', offset: 13, length: 1, to: 0 },
    { op: 'and', register: 0, mask: hex(mask) },
    { op: 'cmp', register: 0, is, value: hex(value) },
  ];
}

/** The first segment of a connection. */
export const isSyn = flags(FIN | SYN | RST | ACK, '==', SYN);
/** The last segment of something that was sent, on a connection that goes on: after its FIN an end has nothing to send. */
export const isPushed = flags(FIN | SYN | RST | PSH, '==', PSH);
/** A segment that neither opens nor closes. */
export const isPlain = flags(FIN | SYN | RST, '==', 0);
/** What answers a SYN to a port where nobody listens (RFC 9293, 3.10.7.1), and nothing that was established. */
export const isRefusal: readonly NftExpression[] = [
  ...flags(FIN | SYN | RST | ACK, '==', RST | ACK),
  { op: 'payload', base: 'transport', offset: 4, length: 4, to: 0 },
  { op: 'cmp', register: 0, is: '==', value: '00000000' },
];
export const isClosing = flags(FIN | RST, '!=', 0);

/** daddr . dport into the registers from `to` on. */
export function destination(l3: L3, to: Register = 0): readonly NftExpression[] {
  const { words } = header[l3];
  return [
    ...destinationAddress(l3, to),
    { op: 'payload', base: 'transport', offset: 2, length: 2, to: to + words },
  ];
}

/** saddr . sport into the registers from `to` on. */
export function source(l3: L3, to: Register = 0): readonly NftExpression[] {
  const { words } = header[l3];
  return [
    ...sourceAddress(l3, to),
    { op: 'payload', base: 'transport', offset: 0, length: 2, to: to + words },
  ];
}

export function destinationAddress(l3: L3, to: Register): readonly NftExpression[] {
  const { destination: offset, bytes } = header[l3];
  return [{ op: 'payload', base: 'network', offset, length: bytes, to }];
}

export function sourceAddress(l3: L3, to: Register): readonly NftExpression[] {
  const { source: offset, bytes } = header[l3];
  return [{ op: 'payload', base: 'network', offset, length: bytes, to }];
}

/**
 * No acknowledgement of any SYN, so a client drops the segment (RFC 9293, 3.10.7.3), and Linux since 5.6 sends its SYN
 * again within milliseconds instead of a second. Connection tracking takes a reset with a zero here for a good one.
 */
export const acknowledgeNothing: readonly NftExpression[] = [
  { op: 'immediate', to: 0, value: '00000000' },
  { op: 'payload write', base: 'transport', offset: 8, length: 4, from: 0, checksumAt: 16 },
];

/**
 * The differentiated services codepoint 000011, of those for local use (RFC 2474, section 6), as it stands in the first
 * two bytes of the header. A holder of direct return gives it to a SYN for which there is another server, should this
 * one refuse; Linux answers a SYN by a reset with the same codepoint.
 */
const stamp = {
  ip: { codepoint: '00fc', rest: 'ff03', value: '000c' },
  ip6: { codepoint: '0fc0', rest: 'f03f', value: '00c0' },
} as const;
const IPV4_CHECKSUM = 10;

export function putStamp(l3: L3): readonly NftExpression[] {
  const { rest, value } = stamp[l3];
  const checksum = l3 === 'ip' ? { checksumAt: IPV4_CHECKSUM } : {};
  return [
    { op: 'payload', base: 'network', offset: 0, length: 2, to: 0 },
    { op: 'and', register: 0, mask: rest, xor: value },
    { op: 'payload write', base: 'network', offset: 0, length: 2, from: 0, ...checksum },
  ];
}

export function hasStamp(l3: L3): readonly NftExpression[] {
  const { codepoint, value } = stamp[l3];
  return [
    { op: 'payload', base: 'network', offset: 0, length: 2, to: 0 },
    { op: 'and', register: 0, mask: codepoint },
    { op: 'cmp', register: 0, is: '==', value },
  ];
}

/** The destination of the connection's first packet, address . port, before any translation. */
export function originalDestination(l3: L3): readonly NftExpression[] {
  const key = l3 === 'ip' ? 'original ip daddr' : 'original ip6 daddr';
  return [
    { op: 'ct', key, to: 0 },
    { op: 'ct', key: 'original proto-dst', to: header[l3].words },
  ];
}

/** Bits of `ct state`: NF_CT_STATE_INVALID_BIT, and those of IP_CT_NEW, IP_CT_ESTABLISHED and IP_CT_RELATED. */
const CT_INVALID_OR_NEW = 1 | 8;
const CT_ESTABLISHED = 2;
const CT_RELATED = 4;
/** IPS_DST_NAT of `ct status`. */
const CT_TRANSLATED = 0x20;

export const isUnknown = anyBit('state', CT_INVALID_OR_NEW);
/** Part of a connection that is known, in either direction. */
export const isKnown = anyBit('state', CT_ESTABLISHED);
export const isTranslated = anyBit('status', CT_TRANSLATED);
/** Belongs to a connection that is known, without being part of it: an ICMP error above all. */
export const isRelated = anyBit('state', CT_RELATED);

/** An answer to a connection that began at its destination (IP_CT_DIR_REPLY). */
export const isReply: readonly NftExpression[] = [
  { op: 'ct', key: 'direction', to: 0 },
  { op: 'cmp', register: 0, is: '==', value: '01' },
];

function anyBit(key: 'state' | 'status', bits: number): readonly NftExpression[] {
  return [
    { op: 'ct', key, to: 0 },
    { op: 'and', register: 0, mask: hostU32(bits) },
    { op: 'cmp', register: 0, is: '!=', value: hostU32(0) },
  ];
}

export const leavesTheHost: readonly NftExpression[] = [
  { op: 'meta', key: 'oifname', to: 0 },
  { op: 'cmp', register: 0, is: '!=', value: linkNameHex('lo') },
];

export function verdict(value: NftVerdict): readonly NftExpression[] {
  return [{ op: 'verdict', verdict: value }];
}
