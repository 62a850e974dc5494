import { DecodeError } from '../../lib/errors.ts';
import { familyOf } from '../../lib/ip.ts';
import { messageType, NFNL_SUBSYS_CTNETLINK } from '../nfnetlink/header.ts';
import { NETLINK_NETFILTER, NetlinkSocket, type NetlinkRequest } from '../netlink/socket.ts';
import type { Poller } from '../poll.ts';
import { decodeConnection, encodeQuery, encodeRemoval, message } from './codec.ts';
import type { ConnectionName, Conntrack, ConnectionEnd, TrackedConnection } from './types.ts';

/** Connection tracking of the network namespace this thread is in. Throws KernelError when netlink is not available. */
export function openConntrack(poller: Poller, onDecodeError?: (error: DecodeError) => void): Conntrack {
  return new LinuxConntrack(new NetlinkSocket(NETLINK_NETFILTER, poller), onDecodeError);
}

class LinuxConntrack implements Conntrack {
  private readonly netlink: NetlinkSocket;
  private readonly onDecodeError: ((error: DecodeError) => void) | undefined;

  constructor(netlink: NetlinkSocket, onDecodeError: ((error: DecodeError) => void) | undefined) {
    this.netlink = netlink;
    this.onDecodeError = onDecodeError;
  }

  close(): void {
    this.netlink.close();
  }

  async connections(services: readonly ConnectionEnd[]): Promise<readonly TrackedConnection[]> {
    const found: TrackedConnection[] = [];
    const groups = Map.groupBy(services, ({ address, port }) => `IPv${familyOf(address)} port ${port}`);
    for (const [object, [first, ...others]] of groups) {
      if (first === undefined) continue;
      const request: NetlinkRequest = {
        doing: { op: 'dump connections', object },
        type: messageType(NFNL_SUBSYS_CTNETLINK, message.get),
        payload: encodeQuery([first, ...others]),
      };
      const all = await this.netlink.dump(request, ({ payload }) => this.decoded(payload));
      const addresses = new Set([first, ...others].map(({ address }) => address));
      found.push(
        ...all.filter(({ service }) => service.port === first.port && addresses.has(service.address)),
      );
    }
    return found;
  }

  remove(connections: readonly ConnectionName[]): number {
    const outcomes = this.netlink.batch(
      connections.map(({ client, service, ...id }) => ({
        doing: {
          op: 'remove connection',
          object: `${client.address} port ${client.port} to ${service.address}`,
        },
        type: messageType(NFNL_SUBSYS_CTNETLINK, message.delete),
        payload: encodeRemoval({ client, service, ...id }),
      })),
    );
    let removed = 0;
    for (const { error } of outcomes) {
      if (error === undefined) removed++;
      else if (error.kind !== 'gone') throw error;
    }
    return removed;
  }

  private decoded(payload: Uint8Array): TrackedConnection | undefined {
    try {
      return decodeConnection(payload);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.onDecodeError?.(error);
      return undefined;
    }
  }
}
