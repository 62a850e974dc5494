import { existsSync } from 'node:fs';
import { ip } from '../lib/ip.ts';
import { openConntrack } from './conntrack/conntrack.ts';
import type { Conntrack } from './conntrack/types.ts';
import { isKernelError } from './errors.ts';
import { openIpvs } from './ipvs/ipvs.ts';
import type { Ipvs } from './ipvs/types.ts';
import type { OpenKernel } from './kernel.ts';
import { openNftables } from './nftables/nftables.ts';
import type { Nftables } from './nftables/types.ts';
import { openRawIp } from './raw-ip.ts';
import { openNeighbourResolver } from './rtnetlink/neighbour-use.ts';
import { tcpListeners } from './sock-diag.ts';
import type { Kernel, NeighbourResolver, RawIp, TcpListener } from './types.ts';

/** All of the kernel that forwards packets; what this kernel lacks is undefined. */
export interface ForwardingPorts {
  readonly kernel: Kernel;
  readonly nftables: Nftables | undefined;
  readonly ipvs: Ipvs | undefined;
  readonly conntrack: Conntrack | undefined;
  readonly resolver: NeighbourResolver;
  readonly rawIp: RawIp;
  /** Who listens on this node; undefined where the kernel does not say (no inet_diag). */
  listeners(): Promise<readonly TcpListener[] | undefined>;
  /** Closes what was opened here, and not the kernel. */
  close(): void;
}

/** Opens everything and tries it once. Throws KernelError when a capability is missing. */
export async function openForwardingPorts(kernel: OpenKernel): Promise<ForwardingPorts> {
  const { poller } = kernel;
  const rawIp = openRawIp();
  const resolver = openNeighbourResolver(poller);
  const nftables = await usable(openNftables(poller), (port) => port.read('kube-vip-lb', []));
  const conntrack = await usable(openConntrack(poller), (port) => port.connections([nobody]));
  const ipvs = ipvsOrNone(kernel);
  return {
    kernel,
    nftables,
    ipvs,
    conntrack,
    resolver,
    rawIp,
    listeners: () => listenersOrUnknown(kernel),
    close: () => {
      for (const port of [rawIp, resolver, nftables, conntrack, ipvs]) port?.close();
    },
  };
}

/** What is needed to take out what somebody put there before; loads no IPVS where there is none. */
export async function openLeftoverPorts(
  kernel: OpenKernel,
): Promise<Pick<ForwardingPorts, 'kernel' | 'nftables' | 'ipvs' | 'close'>> {
  const nftables = await usable(openNftables(kernel.poller), (port) => port.read('kube-vip-lb', []));
  const ipvs = existsSync('/proc/thread-self/net/ip_vs') ? ipvsOrNone(kernel) : undefined;
  return {
    kernel,
    nftables,
    ipvs,
    close: () => {
      nftables?.close();
      ipvs?.close();
    },
  };
}

/** Asking for the connections to it shows whether connection tracking is there. */
const nobody = { address: ip('0.0.0.0'), port: 0 };

function ipvsOrNone({ poller }: OpenKernel): Ipvs | undefined {
  try {
    return openIpvs(poller);
  } catch (error) {
    if (isKernelError(error, 'unsupported')) return undefined;
    throw error;
  }
}

async function listenersOrUnknown({ poller }: OpenKernel): Promise<readonly TcpListener[] | undefined> {
  try {
    return await tcpListeners(poller);
  } catch (error) {
    if (isKernelError(error, 'unsupported', 'gone')) return undefined;
    throw error;
  }
}

/** nfnetlink answers EINVAL, a `bug` elsewhere, for a subsystem that this kernel lacks. */
async function usable<P extends { close(): void }>(
  port: P,
  attempt: (port: P) => Promise<unknown>,
): Promise<P | undefined> {
  try {
    await attempt(port);
    return port;
  } catch (error) {
    port.close();
    if (isKernelError(error, 'unsupported', 'bug')) return undefined;
    throw error;
  }
}
