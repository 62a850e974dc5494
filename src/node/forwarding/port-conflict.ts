import type { TcpListener } from '../../linux/index.ts';
import type { ForwardingMethod, VirtualServerSpec } from './types.ts';

/** A service of this node has a port that is to be balanced. */
export interface PortConflict {
  /** It listens on the VIP itself: it would not get a single connection any more. */
  readonly isFatal: boolean;
  readonly text: string;
}

/**
 * What balancing `vip`:`port` would take from services of this node; undefined when nothing. Listening on
 * all addresses is what API servers do, so on their own port it means nothing. With `local` the
 * service on this node is the one that serves. Pure.
 */
export function portConflict(
  { vip, port }: Pick<VirtualServerSpec, 'vip' | 'port'>,
  { method, serverPort }: { readonly method: ForwardingMethod; readonly serverPort: number },
  listeners: readonly TcpListener[],
): PortConflict | undefined {
  if (method === 'local') return undefined;
  const there = listeners.filter((each) => each.port === port);
  if (there.some(({ address }) => address === vip)) {
    const text =
      `${nameOf(vip, port)} is in use: a service of this node listens there, and connections to it would ` +
      'go to the API servers; stop it, or balance another port';
    return { isFatal: true, text };
  }
  const everywhere = there.find((each) => serves(each, vip));
  if (everywhere === undefined || port === serverPort) return undefined;
  const text =
    `port ${port} is in use: a service of this node listens on ${nameOf(everywhere.address, port)}; connections ` +
    `to ${nameOf(vip, port)} go to the API servers, those to other addresses of this node to the service`;
  return { isFatal: false, text };
}

function serves({ address, v6Only }: TcpListener, vip: string): boolean {
  return vip.includes(':') ? address === '::' : address === '0.0.0.0' || (address === '::' && !v6Only);
}

function nameOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
