import { familyOf, ipFromBytes, ipToBytes, type Ip } from '../../lib/ip.ts';
import { genericPayload, genericReader } from '../genetlink.ts';
import { AttributeTable, nested, raw, text, u16, u16be, u32, u8 } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlWriter, type NlReader } from '../netlink/wire.ts';
import { AF_INET, AF_INET6 } from '../sys.ts';
import type { IpvsDestination, IpvsForwarding, IpvsService, IpvsServiceKey } from './types.ts';

/* linux/ip_vs.h. */

export const IPVS_FAMILY = 'IPVS';
const IPVS_VERSION = 1;

/** IPVS_CMD_*. */
export const command = {
  newService: 1,
  setService: 2,
  deleteService: 3,
  getService: 4,
  newDestination: 5,
  setDestination: 6,
  deleteDestination: 7,
  getDestination: 8,
} as const;

const IPPROTO_TCP = 6;

const serviceAttributes = new AttributeTable('IPVS service', {
  family: [1, u16],
  protocol: [2, u16],
  address: [3, raw],
  port: [4, u16be],
  mark: [5, u32],
  scheduler: [6, text],
  flags: [7, raw],
  timeout: [8, u32],
  netmask: [9, raw],
});

const destinationAttributes = new AttributeTable('IPVS destination', {
  address: [1, raw],
  port: [2, u16be],
  forwarding: [3, u32],
  weight: [4, u32],
  upperThreshold: [5, u32],
  lowerThreshold: [6, u32],
  family: [11, u16],
  tunnelType: [13, u8],
});

const commandAttributes = new AttributeTable('IPVS', {
  service: [1, nested(serviceAttributes)],
  destination: [2, nested(destinationAttributes)],
});

const methods: readonly IpvsForwarding[] = ['masquerade', 'local', 'tunnel', 'directroute', 'bypass'];
const FORWARDING_MASK = 0x7;

/** As kube-vip writes them; they matter only for persistence, which is off. */
const NETMASK_IPV4 = 0xfffffffe;
const PREFIX_IPV6 = 128;

/** union nf_inet_addr: 16 bytes, an IPv4 address in the first four. */
function inetAddress(address: Ip): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(ipToBytes(address));
  return bytes;
}

function readAddress(reader: NlReader, family: number, bytes: Uint8Array): Ip {
  if (bytes.length !== 16 && !(bytes.length === 4 && family === AF_INET)) {
    reader.fail('address', `${bytes.length} bytes are no nf_inet_addr`);
  }
  return ipFromBytes(bytes.subarray(0, family === AF_INET ? 4 : 16));
}

function keyAttributes(key: IpvsServiceKey): Parameters<typeof serviceAttributes.encode>[1] {
  if ('mark' in key) return { family: key.family === 4 ? AF_INET : AF_INET6, mark: key.mark };
  const family = familyOf(key.address) === 4 ? AF_INET : AF_INET6;
  return { family, protocol: IPPROTO_TCP, address: inetAddress(key.address), port: key.port };
}

/** A command about a whole service: its settings for new and set, its name alone for the others. */
export function encodeServiceCommand(
  number: number,
  service: IpvsService | { readonly key: IpvsServiceKey },
): Uint8Array {
  const key = keyAttributes(service.key);
  const settings =
    'scheduler' in service
      ? {
          scheduler: service.scheduler,
          // struct ip_vs_flags: no flags, and a mask that says that none of them shall stay.
          flags: new NlWriter().u32(0).u32(0xffffffff).done(),
          timeout: 0,
          // A mask in network order, or a prefix length in that of the machine.
          netmask:
            key.family === AF_INET
              ? new NlWriter().u32(NETMASK_IPV4, false).done()
              : new NlWriter().u32(PREFIX_IPV6).done(),
        }
      : {};
  return genericPayload(number, IPVS_VERSION, (writer) => {
    commandAttributes.encode(writer, { service: { ...key, ...settings } });
  });
}

export function encodeServiceDump(): Uint8Array {
  return genericPayload(command.getService, IPVS_VERSION);
}

export function encodeDestinationDump(key: IpvsServiceKey): Uint8Array {
  return genericPayload(command.getDestination, IPVS_VERSION, (writer) => {
    commandAttributes.encode(writer, { service: keyAttributes(key) });
  });
}

/** A command about a destination: its settings for new and set, its name alone for delete. */
export function encodeDestinationCommand(
  number: number,
  key: IpvsServiceKey,
  destination: IpvsDestination | Pick<IpvsDestination, 'address' | 'port'>,
): Uint8Array {
  const settings =
    'forwarding' in destination
      ? {
          forwarding: methods.indexOf(destination.forwarding),
          weight: destination.weight,
          upperThreshold: 0,
          lowerThreshold: 0,
          // IP_VS_CONN_F_TUNNEL_TYPE_IPIP; only for tunnels, since kernels before 5.3 do not know it.
          ...(destination.forwarding === 'tunnel' ? { tunnelType: 0 } : {}),
        }
      : {};
  return genericPayload(number, IPVS_VERSION, (writer) => {
    commandAttributes.encode(writer, {
      service: keyAttributes(key),
      destination: {
        address: inetAddress(destination.address),
        port: destination.port,
        family: familyOf(destination.address) === 4 ? AF_INET : AF_INET6,
        ...settings,
      },
    });
  });
}

/** Decodes an answer to getService; undefined for a service that is not TCP. */
export function decodeService(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): IpvsService | undefined {
  const reader = genericReader('IPVS service', payload, littleEndian);
  const { service } = commandAttributes.decode(reader);
  if (service?.family === undefined) return reader.fail('service', 'has no address family');
  const { family, protocol, address, port, mark, scheduler = '' } = service;
  if (mark !== undefined && mark !== 0) {
    return { key: { mark, family: family === AF_INET ? 4 : 6 }, scheduler };
  }
  if (protocol !== IPPROTO_TCP) return undefined;
  if (address === undefined || port === undefined) return reader.fail('service', 'has no address or port');
  return { key: { address: readAddress(reader, family, address), port }, scheduler };
}

/** Decodes an answer to getDestination. Old kernels leave the family out: it is that of the service. */
export function decodeDestination(
  payload: Uint8Array,
  serviceFamily: 4 | 6,
  littleEndian = hostIsLittleEndian,
): IpvsDestination {
  const reader = genericReader('IPVS destination', payload, littleEndian);
  const { destination } = commandAttributes.decode(reader);
  const family = destination?.family ?? (serviceFamily === 4 ? AF_INET : AF_INET6);
  const { address, port, forwarding = 0, weight = 0 } = destination ?? {};
  if (address === undefined || port === undefined) {
    return reader.fail('destination', 'has no address or port');
  }
  const method = methods[forwarding & FORWARDING_MASK];
  if (method === undefined) return reader.fail('forwarding method', `${forwarding} is unknown`);
  return { address: readAddress(reader, family, address), port, forwarding: method, weight };
}
