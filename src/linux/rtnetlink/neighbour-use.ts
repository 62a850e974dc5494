import { familyOf, type Ip } from '../../lib/ip.ts';
import { NLM_F_CREATE } from '../netlink/message.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../netlink/socket.ts';
import { NlWriter } from '../netlink/wire.ts';
import type { Poller } from '../poll.ts';
import type { NeighbourResolver } from '../types.ts';
import { familyNumber, RTM_NEWNEIGH } from './header.ts';
import { neighbourAttributes } from './neighbour.ts';

/** "Somebody wants to send to it": the kernel resolves an entry that is not valid, and refreshes a stale one. */
const NTF_USE = 0x01;

/** The body of an RTM_NEWNEIGH that asks the kernel to find this neighbour. */
function encodeNeighbourUse(ifindex: number, address: Ip): Uint8Array {
  const writer = new NlWriter();
  writer
    .u8(familyNumber(familyOf(address)))
    .u8(0)
    .u16(0)
    .s32(ifindex)
    .u16(0)
    .u8(NTF_USE)
    .u8(0);
  neighbourAttributes.encode(writer, { address });
  return writer.done();
}

/** Throws KernelError when netlink is not available. */
export function openNeighbourResolver(poller: Poller): NeighbourResolver {
  const netlink = new NetlinkSocket(NETLINK_ROUTE, poller);
  return {
    resolve: (ifindex, address) => {
      const doing = { op: 'resolve neighbour', object: `${address} on link ${ifindex}` };
      const payload = encodeNeighbourUse(ifindex, address);
      netlink.request({ doing, type: RTM_NEWNEIGH, flags: NLM_F_CREATE, payload });
    },
    close: () => netlink.close(),
  };
}
