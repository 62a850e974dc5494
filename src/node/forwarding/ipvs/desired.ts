import { familyOf } from '../../../lib/ip.ts';
import type { Ipvs, IpvsServiceKey } from '../../../linux/index.ts';
import type { VirtualServerSpec } from '../types.ts';
import type { ServiceState } from './plan.ts';

/** kube-vip's mark, which all its VIPs share; ours begin there, so that each VIP has one of its own. */
const FIRST_MARK = 10_042;
const MARKS = 4000;
/** Of a service that is there for a moment, to see whether the kernel can make it. */
export const TRIAL_MARK = FIRST_MARK + MARKS;

type Endpoint = Pick<VirtualServerSpec, 'vip' | 'port'>;

/**
 * A firewall mark for each VIP and port: by a hash, so that it stays the same when others come and go
 * and after a restart; two with the same hash get neighbouring ones.
 */
export function assignMarks(endpoints: readonly Endpoint[]): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const marks = new Map<string, number>();
  for (const name of [...new Set(endpoints.map(endpointName))].sort()) {
    let mark = FIRST_MARK + (hash(name) % MARKS);
    while (taken.has(mark)) mark = mark === FIRST_MARK + MARKS - 1 ? FIRST_MARK : mark + 1;
    taken.add(mark);
    marks.set(name, mark);
  }
  return marks;
}

export function endpointName({ vip, port }: Endpoint): string {
  return `${vip} ${port}`;
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/** Both names that services of ours may have for these, now or from a run with other settings. */
export function keysOf(
  claims: readonly Endpoint[],
  marks: ReadonlyMap<string, number> = assignMarks(claims),
): readonly IpvsServiceKey[] {
  return claims.flatMap((claim) => [
    { address: claim.vip, port: claim.port },
    { mark: marks.get(endpointName(claim)) ?? 0, family: familyOf(claim.vip) },
  ]);
}

/** Takes out of IPVS what a predecessor made for these that balanced with it. Returns how many there were. */
export function removeServices(
  ipvs: Pick<Ipvs, 'service' | 'removeService'>,
  claims: readonly Endpoint[],
): number {
  const found = keysOf(claims).filter((key) => ipvs.service(key) !== undefined);
  for (const key of found) ipvs.removeService(key);
  return found.length;
}

/** What a virtual server is in IPVS. `mark` undefined: known by its address and port. */
export function serviceOf(spec: VirtualServerSpec, mark: number | undefined): ServiceState {
  const { vip, port, scheduler, method, realServers } = spec;
  const key: IpvsServiceKey = mark === undefined ? { address: vip, port } : { mark, family: familyOf(vip) };
  const destinations = realServers
    .filter(({ state }) => state !== 'dead')
    .map((server) => ({
      address: server.address,
      port: server.port,
      forwarding: method,
      // Weight 0 keeps what it has and gets nothing new.
      weight: server.state === 'draining' ? 0 : server.weight,
    }));
  return { key, scheduler, destinations };
}
