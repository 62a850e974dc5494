import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import type { Capability } from './types.ts';

/** IANA "Capability Codes". */
const code = { multiprotocol: 1, routeRefresh: 2, fourOctetAs: 65, fqdn: 73 } as const;

const utf8 = new TextDecoder();

/** The capabilities inside one optional parameter of type 2 (RFC 5492 4). Throws DecodeError. */
export function decodeCapabilities(bytes: Uint8Array): readonly Capability[] {
  const reader = new ByteReader('bgp', bytes);
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const kind = reader.u8('capability code');
    const length = reader.u8('capability length');
    capabilities.push(decodeCapability(kind, reader.bytesOf('capability value', length)));
  }
  return capabilities;
}

function decodeCapability(kind: number, value: Uint8Array): Capability {
  const reader = new ByteReader('bgp', value);
  if (kind === code.multiprotocol && value.length === 4) {
    const afi = reader.u16('AFI');
    reader.skip('reserved', 1);
    return { kind: 'multiprotocol', afi, safi: reader.u8('SAFI') };
  }
  if (kind === code.routeRefresh && value.length === 0) return { kind: 'route-refresh' };
  if (kind === code.fourOctetAs && value.length === 4)
    return { kind: 'four-octet-as', as: reader.u32('AS number') };
  if (kind === code.fqdn) {
    const name = (): string => utf8.decode(reader.bytesOf('name', reader.u8('name length')));
    return { kind: 'fqdn', host: name(), domain: name() };
  }
  return { kind: 'unknown', code: kind, value };
}

/** The value of one optional parameter of type 2. */
export function encodeCapabilities(capabilities: readonly Capability[]): Uint8Array {
  const writer = new ByteWriter();
  for (const capability of capabilities) {
    const [kind, value] = encodeCapability(capability);
    if (value.length > 255)
      throw new RangeError(`capability ${kind} has ${value.length} bytes, more than 255`);
    writer.u8(kind).u8(value.length).bytes(value);
  }
  return writer.done();
}

function encodeCapability(capability: Capability): readonly [number, Uint8Array] {
  const writer = new ByteWriter();
  switch (capability.kind) {
    case 'multiprotocol':
      return [code.multiprotocol, writer.u16(capability.afi).u8(0).u8(capability.safi).done()];
    case 'route-refresh':
      return [code.routeRefresh, writer.done()];
    case 'four-octet-as':
      return [code.fourOctetAs, writer.u32(capability.as).done()];
    case 'fqdn': {
      for (const text of [capability.host, capability.domain]) {
        const bytes = Buffer.from(text).subarray(0, 64);
        writer.u8(bytes.length).bytes(bytes);
      }
      return [code.fqdn, writer.done()];
    }
    case 'unknown':
      return [capability.code, capability.value];
  }
}
