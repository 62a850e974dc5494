import { familyOf, hostLength, type Ip } from '../../lib/ip.ts';
import { address, AttributeTable, raw, u32, u8 } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import type { Address, AddressKey, AddressRequest } from '../types.ts';
import { familyFromNumber, familyNumber, scopeFromNumber, scopeNumber } from './header.ts';

/** IFA_*, linux/if_addr.h. */
const addressAttributes = new AttributeTable('rtnetlink address', {
  address: [1, address],
  local: [2, address],
  broadcast: [4, address],
  cacheInfo: [6, raw],
  flags: [8, u32],
  protocol: [11, u8],
});

const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_PERMANENT = 0x80;

/** The lifetime that means "forever" (RFC 4862). */
const infinity = 0xffffffff;

/** Decodes RTM_NEWADDR and RTM_DELADDR; undefined for other families. */
export function decodeAddress(payload: Uint8Array, littleEndian = hostIsLittleEndian): Address | undefined {
  const reader = new NlReader('rtnetlink address', payload, littleEndian);
  const family = familyFromNumber(reader.u8('family'));
  const prefixLength = reader.u8('prefix length');
  const shortFlags = reader.u8('flags');
  const scope = scopeFromNumber(reader.u8('scope'));
  const ifindex = reader.u32('ifindex');
  if (family === undefined) return undefined;
  const attributes = addressAttributes.decode(reader);
  // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL is then ours.
  const own = attributes.local ?? attributes.address;
  if (own === undefined) return reader.fail('address', 'is missing');
  if (familyOf(own) !== family) reader.fail('address', 'is of another family');
  if (prefixLength > hostLength(own)) reader.fail('prefix length', `${prefixLength} is too long`);
  const flags = attributes.flags ?? shortFlags;
  const [preferredLifetime, validLifetime] = decodeLifetimes(attributes.cacheInfo, littleEndian);
  return {
    ifindex,
    address: own,
    prefixLength,
    scope,
    validLifetime,
    preferredLifetime,
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & IFA_F_DADFAILED) !== 0,
    noDad: (flags & IFA_F_NODAD) !== 0,
    permanent: (flags & IFA_F_PERMANENT) !== 0,
    broadcast: attributes.broadcast,
    protocol: attributes.protocol ?? 0,
  };
}

/** struct ifa_cacheinfo: preferred, valid, and two time stamps. */
function decodeLifetimes(
  bytes: Uint8Array | undefined,
  littleEndian: boolean,
): readonly [number | undefined, number | undefined] {
  if (bytes === undefined) return [undefined, undefined];
  const reader = new NlReader('rtnetlink address lifetimes', bytes, littleEndian);
  const preferred = reader.u32('preferred');
  const valid = reader.u32('valid');
  return [preferred === infinity ? undefined : preferred, valid === infinity ? undefined : valid];
}

type Lifetimes = Pick<AddressRequest, 'preferredLifetime' | 'validLifetime'>;

function encodeLifetimes(request: Lifetimes, littleEndian: boolean): Uint8Array {
  return new NlWriter(littleEndian)
    .u32(request.preferredLifetime ?? infinity)
    .u32(request.validLifetime ?? infinity)
    .zeros(8)
    .done();
}

/** Every VIP has these, but those of names. */
const unpreferredForever = encodeLifetimes(
  { preferredLifetime: 0, validLifetime: undefined },
  hostIsLittleEndian,
);

function isUsual({ preferredLifetime, validLifetime }: Lifetimes, littleEndian: boolean): boolean {
  return preferredLifetime === 0 && validLifetime === undefined && littleEndian === hostIsLittleEndian;
}

/** For all bodies, one after the other: a writer for each would be most of the work. */
const scratch = new NlWriter();

/** The body of RTM_NEWADDR. */
export function encodeAddress(request: AddressRequest, littleEndian = hostIsLittleEndian): Uint8Array {
  const writer = encodeHeader(request, scopeNumber(request.scope), littleEndian);
  const isIpv4 = familyOf(request.address) === 4;
  addressAttributes.encode(writer, {
    address: request.address,
    local: request.address,
    broadcast: isIpv4 && request.prefixLength <= 30 ? request.broadcast : undefined,
    cacheInfo: isUsual(request, littleEndian) ? unpreferredForever : encodeLifetimes(request, littleEndian),
    flags: request.noDad && !isIpv4 ? IFA_F_NODAD : 0,
    protocol: request.protocol === 0 ? undefined : request.protocol,
  });
  return writer.take();
}

/** The body of RTM_DELADDR. */
export function encodeAddressKey(key: AddressKey, littleEndian = hostIsLittleEndian): Uint8Array {
  const writer = encodeHeader(key, 0, littleEndian);
  addressAttributes.encode(writer, { address: key.address, local: key.address });
  return writer.take();
}

/** The body of RTM_GETADDR for a dump of all links and families. */
export function encodeAddressQuery(): Uint8Array {
  return new Uint8Array(8);
}

function encodeHeader(key: AddressKey, scope: number, littleEndian: boolean): NlWriter {
  checkPrefix(key.address, key.prefixLength);
  const writer = littleEndian === hostIsLittleEndian ? scratch : new NlWriter(littleEndian);
  // What an encoding that failed has left.
  if (writer.length > 0) writer.take();
  return writer
    .u8(familyNumber(familyOf(key.address)))
    .u8(key.prefixLength)
    .u8(0)
    .u8(scope)
    .u32(key.ifindex);
}

function checkPrefix(ip: Ip, length: number): void {
  if (!Number.isInteger(length) || length < 0 || length > hostLength(ip)) {
    throw new RangeError(`${ip} cannot have the prefix length ${length}`);
  }
}
