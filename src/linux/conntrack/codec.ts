import { familyOf, type Ip } from '../../lib/ip.ts';
import { address, AttributeTable, nested, u16be, u32be, u8 } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import { NFPROTO_IPV4, NFPROTO_IPV6, readHeader, writeHeader } from '../nfnetlink/header.ts';
import type { ConnectionEnd, ConnectionName, ConnectionState, TrackedConnection } from './types.ts';

/** IPCTNL_MSG_CT_*. */
export const message = { get: 1, delete: 2 } as const;

const IPPROTO_TCP = 6;

/* CTA_*, linux/netfilter/nfnetlink_conntrack.h. */

const ipAttributes = new AttributeTable('conntrack address', {
  source4: [1, address],
  destination4: [2, address],
  source6: [3, address],
  destination6: [4, address],
});

const protocolAttributes = new AttributeTable('conntrack ports', {
  number: [1, u8],
  source: [2, u16be],
  destination: [3, u16be],
});

const tupleAttributes = new AttributeTable('conntrack tuple', {
  ip: [1, nested(ipAttributes)],
  protocol: [2, nested(protocolAttributes)],
});

const tcpAttributes = new AttributeTable('conntrack TCP', { state: [1, u8] });
const infoAttributes = new AttributeTable('conntrack protocol', { tcp: [1, nested(tcpAttributes)] });

/** In host order, the only such numbers of conntrack. */
const filterAttributes = new AttributeTable('conntrack filter', {
  original: [1, hostOrder32()],
  reply: [2, hostOrder32()],
});

const connectionAttributes = new AttributeTable('conntrack', {
  original: [1, nested(tupleAttributes)],
  reply: [2, nested(tupleAttributes)],
  info: [4, nested(infoAttributes)],
  id: [12, u32be],
  filter: [25, nested(filterAttributes)],
});

function hostOrder32(): typeof u32be {
  return {
    read: (reader, field) => reader.u32(field),
    write: (writer, value) => void writer.u32(value),
  };
}

/** CTA_FILTER_F_CTA_* of the attributes of a tuple that a dump should be narrowed to. */
const FILTER_IP_DESTINATION = 1 << 1;
const FILTER_PROTOCOL = 1 << 3;
const FILTER_PORT_DESTINATION = 1 << 5;

/**
 * A dump of the connections to services of one family and port. The kernel narrows it only roughly, and the
 * caller looks again: before 5.8 not at all, several by port alone, and IPv6 too, because its comparison of IPv6
 * addresses is the wrong way round (seen on 6.18: a filter by address gives all connections but the right ones).
 */
export function encodeQuery([service, ...others]: readonly [ConnectionEnd, ...ConnectionEnd[]]): Uint8Array {
  const writer = header(service.address);
  const isIpv4 = familyOf(service.address) === 4;
  const byAddress = isIpv4 && others.length === 0;
  connectionAttributes.encode(writer, {
    original: {
      ip: isIpv4 ? { destination4: service.address } : { destination6: service.address },
      protocol: { number: IPPROTO_TCP, destination: service.port },
    },
    filter: {
      original: FILTER_PROTOCOL | FILTER_PORT_DESTINATION | (byAddress ? FILTER_IP_DESTINATION : 0),
      reply: 0,
    },
  });
  return writer.done();
}

export function encodeRemoval({ client, service, id }: ConnectionName): Uint8Array {
  const writer = header(service.address);
  const ip =
    familyOf(service.address) === 4
      ? { source4: client.address, destination4: service.address }
      : { source6: client.address, destination6: service.address };
  const protocol = { number: IPPROTO_TCP, source: client.port, destination: service.port };
  const which = id === undefined ? {} : { id };
  connectionAttributes.encode(writer, { original: { ip, protocol }, ...which });
  return writer.done();
}

function header(address: Ip): NlWriter {
  return writeHeader(new NlWriter(), familyOf(address) === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

/** Decodes IPCTNL_MSG_CT_NEW; undefined for anything but TCP. */
export function decodeConnection(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): TrackedConnection | undefined {
  const reader = new NlReader('conntrack', payload, littleEndian);
  readHeader(reader);
  const { original, reply, info, id } = connectionAttributes.decode(reader);
  if (original?.protocol?.number !== IPPROTO_TCP) return undefined;
  const there = endsOf(original);
  const back = endsOf(reply);
  if (there === undefined || back === undefined) return reader.fail('tuple', 'has no addresses or ports');
  return {
    client: there.source,
    service: there.destination,
    server: back.source,
    returnTo: back.destination,
    state: stateOf(info?.tcp?.state),
    ...(id === undefined ? {} : { id }),
  };
}

type Tuple = ReturnType<typeof tupleAttributes.decode>;

function endsOf(
  tuple: Tuple | undefined,
): { readonly source: ConnectionEnd; readonly destination: ConnectionEnd } | undefined {
  const source = tuple?.ip?.source4 ?? tuple?.ip?.source6;
  const destination = tuple?.ip?.destination4 ?? tuple?.ip?.destination6;
  const ports = tuple?.protocol;
  if (source === undefined || destination === undefined) return undefined;
  if (ports?.source === undefined || ports.destination === undefined) return undefined;
  return {
    source: { address: source, port: ports.source },
    destination: { address: destination, port: ports.destination },
  };
}

/** enum tcp_conntrack: 1 SYN_SENT, 2 SYN_RECV, 3 ESTABLISHED, 4 FIN_WAIT ... 7 TIME_WAIT. */
function stateOf(number: number | undefined): ConnectionState {
  if (number === 1 || number === 2) return 'opening';
  if (number === 3) return 'established';
  return number !== undefined && number >= 4 && number <= 7 ? 'closing' : 'other';
}
