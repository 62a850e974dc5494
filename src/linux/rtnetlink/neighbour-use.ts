import { NLM_F_CREATE } from '../netlink/message.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts';
import { describeNeighbour } from '../objects.ts';
import type { Poller } from '../poll.ts';
import type { NeighbourResolver } from '../types.ts';
import { RTM_NEWNEIGH } from './header.ts';
import { encodeNeighbourKey } from './neighbour.ts';

/** "Somebody wants to send to it": the kernel resolves an entry that is not valid, and refreshes a stale one. */
const NTF_USE = 0x01;

/** Throws KernelError when netlink is not available. */
export function openNeighbourResolver(poller: Poller): NeighbourResolver {
  const netlink = new NetlinkSocket(NETLINK_ROUTE, poller);
  return {
    resolve: (ifindex, address) => {
      const doing = { op: 'resolve neighbour', object: describeNeighbour({ ifindex, address }) };
      const payload = encodeNeighbourKey(ifindex, address, NTF_USE);
      netlink.request({ doing, type: RTM_NEWNEIGH, flags: NLM_F_CREATE, payload });
    },
    close: () => netlink.close(),
  };
}
