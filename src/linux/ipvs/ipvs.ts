import { readFileSync } from 'node:fs';
import { DecodeError } from '../../lib/errors.ts';
import { familyOf } from '../../lib/ip.ts';
import { errnoOf, KernelError } from '../errors.ts';
import { findFamily } from '../genetlink.ts';
import { NETLINK_GENERIC, NetlinkSocket, type NetlinkRequest } from '../netlink/socket.ts';
import type { Poller } from '../poll.ts';
import * as codec from './codec.ts';
import { parseConnections } from './connections.ts';
import type * as t from './types.ts';

const connectionsFile = '/proc/net/ip_vs_conn';
const maxConnections = 262_144;

/**
 * The IPVS of the network namespace this thread is in. Throws KernelError `unsupported` when the kernel
 * has none (its modules cannot be loaded).
 */
export function openIpvs(poller: Poller, onDecodeError?: (error: DecodeError) => void): t.Ipvs {
  const netlink = new NetlinkSocket(NETLINK_GENERIC, poller);
  try {
    const family = findFamily(netlink, codec.IPVS_FAMILY);
    if (family === undefined) throw missing('this kernel has no IPVS', 'ip_vs and ip_vs_rr');
    return new LinuxIpvs(netlink, family, onDecodeError);
  } catch (error) {
    netlink.close();
    throw error;
  }
}

function missing(what: string, modules: string): KernelError {
  const kernelText = `${what}: ensure IPVS kernel modules are loaded (${modules})`;
  return new KernelError({ op: 'use IPVS', errno: errnoOf.EOPNOTSUPP, kernelText });
}

class LinuxIpvs implements t.Ipvs {
  private readonly netlink: NetlinkSocket;
  private readonly family: number;
  private readonly onDecodeError: ((error: DecodeError) => void) | undefined;

  constructor(
    netlink: NetlinkSocket,
    family: number,
    onDecodeError: ((error: DecodeError) => void) | undefined,
  ) {
    this.netlink = netlink;
    this.family = family;
    this.onDecodeError = onDecodeError;
  }

  close(): void {
    this.netlink.close();
  }

  services(): Promise<readonly t.IpvsService[]> {
    const request = this.asking('dump services', '', codec.encodeServiceDump());
    return this.netlink.dump(request, ({ payload }) => this.decoded(() => codec.decodeService(payload)));
  }

  service(key: t.IpvsServiceKey): t.IpvsService | undefined {
    const payload = codec.encodeServiceCommand(codec.command.getService, { key });
    try {
      const [reply] = this.netlink.request(this.asking('read service', describe(key), payload));
      return reply && this.decoded(() => codec.decodeService(reply.payload));
    } catch (error) {
      if (error instanceof KernelError && error.errno === errnoOf.ESRCH) return undefined;
      throw error;
    }
  }

  async destinations(key: t.IpvsServiceKey): Promise<readonly t.IpvsDestination[]> {
    const family = 'mark' in key ? key.family : familyOf(key.address);
    const request = this.asking('dump destinations', describe(key), codec.encodeDestinationDump(key));
    return this.netlink.dump(request, ({ payload }) =>
      this.decoded(() => codec.decodeDestination(payload, family)),
    );
  }

  addService(service: t.IpvsService): void {
    this.sendService('add service', codec.command.newService, service);
  }

  changeService(service: t.IpvsService): void {
    this.sendService('change service', codec.command.setService, service);
  }

  removeService(key: t.IpvsServiceKey): void {
    const payload = codec.encodeServiceCommand(codec.command.deleteService, { key });
    this.netlink.request(this.asking('remove service', describe(key), payload));
  }

  addDestination(key: t.IpvsServiceKey, destination: t.IpvsDestination): void {
    this.sendDestination('add destination', codec.command.newDestination, key, destination);
  }

  changeDestination(key: t.IpvsServiceKey, destination: t.IpvsDestination): void {
    this.sendDestination('change destination', codec.command.setDestination, key, destination);
  }

  removeDestination(key: t.IpvsServiceKey, destination: Pick<t.IpvsDestination, 'address' | 'port'>): void {
    const { address, port } = destination;
    this.sendDestination('remove destination', codec.command.deleteDestination, key, { address, port });
  }

  connections(): readonly t.IpvsConnection[] {
    try {
      return parseConnections(readFileSync(connectionsFile, 'utf8'), maxConnections);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  /** ENOENT on these two is about the scheduler: its module could not be loaded. */
  private sendService(op: string, command: number, service: t.IpvsService): void {
    try {
      const payload = codec.encodeServiceCommand(command, service);
      this.netlink.request(this.asking(op, describe(service.key), payload));
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== errnoOf.ENOENT) throw error;
      throw missing(`IPVS has no scheduler ${service.scheduler}`, `ip_vs_${service.scheduler}`);
    }
  }

  private sendDestination(
    op: string,
    command: number,
    key: t.IpvsServiceKey,
    destination: t.IpvsDestination | Pick<t.IpvsDestination, 'address' | 'port'>,
  ): void {
    const object = `${destination.address} port ${destination.port} of ${describe(key)}`;
    this.netlink.request(this.asking(op, object, codec.encodeDestinationCommand(command, key, destination)));
  }

  private asking(op: string, object: string, payload: Uint8Array): NetlinkRequest {
    return { doing: { op, object }, type: this.family, payload };
  }

  /** One object the decoder does not understand must not hide all the others. */
  private decoded<T>(action: () => T | undefined): T | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.onDecodeError?.(error);
      return undefined;
    }
  }
}

function describe(key: t.IpvsServiceKey): string {
  return 'mark' in key ? `mark ${key.mark} (IPv${key.family})` : `${key.address} port ${key.port}`;
}
