import { ipFromBytes } from '../../lib/ip.ts';
import type { ConnectionEnd, ConnectionState } from '../conntrack/types.ts';
import type { IpvsConnection } from './types.ts';

const states: Readonly<Record<string, ConnectionState>> = {
  SYN_SENT: 'opening',
  SYN_RECV: 'opening',
  ESTABLISHED: 'established',
  FIN_WAIT: 'closing',
  CLOSE_WAIT: 'closing',
  LAST_ACK: 'closing',
  TIME_WAIT: 'closing',
};

/**
 * Parses /proc/net/ip_vs_conn, the only place where IPVS tells its connections: hexadecimal addresses
 * and ports of client, service and server, IPv6 addresses with colons. Lines that are not TCP, or not
 * understood, are left out; at most `limit` are returned.
 */
export function parseConnections(contents: string, limit: number): readonly IpvsConnection[] {
  const connections: IpvsConnection[] = [];
  for (const line of contents.split('\n')) {
    if (connections.length === limit) break;
    const [protocol, client, clientPort, service, servicePort, server, serverPort, state = ''] =
      line.split(/ +/);
    if (protocol !== 'TCP') continue;
    const ends = [end(client, clientPort), end(service, servicePort), end(server, serverPort)] as const;
    const [from, to, by] = ends;
    if (from === undefined || to === undefined || by === undefined) continue;
    connections.push({ client: from, service: to, server: by, state: states[state] ?? 'other' });
  }
  return connections;
}

function end(address: string | undefined, port: string | undefined): ConnectionEnd | undefined {
  const digits = address?.replaceAll(/[[\]:]/g, '') ?? '';
  if (!/^([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32})$/.test(digits) || !/^[0-9A-Fa-f]{4}$/.test(port ?? ''))
    return undefined;
  return {
    address: ipFromBytes(new Uint8Array(Buffer.from(digits, 'hex'))),
    port: Number.parseInt(port ?? '', 16),
  };
}
