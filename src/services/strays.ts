import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import { wantedAddresses } from './addresses.ts';
import { ownLeaseOf, vipHostOf } from './decide.ts';
import { annotation, type LeaseKey, type Service } from './types.ts';

/** What a Lease says at one moment. */
interface LeaseWord {
  readonly holder: string;
  /** Another one: it was renewed in between. */
  readonly version: string;
}

export interface StraysParts {
  /** VIPs of Services on this node, by their owner mark. */
  readonly vips: () => readonly Ip[];
  /** Those of these that are still nobody's. */
  readonly remove: (vips: ReadonlySet<Ip>) => void;
  readonly services: (signal: AbortSignal) => Promise<readonly Service[]>;
  /** Undefined: there is no such Lease. */
  readonly lease: (lease: LeaseKey, signal: AbortSignal) => Promise<LeaseWord | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface StraysOptions {
  /** Lower-cased name of this node. */
  readonly node: string;
  readonly globalLease: LeaseKey;
  /** Milliseconds between two looks; each holder renews its lease meanwhile. */
  readonly periodMs: number;
}

/** VIPs that are removed in one turn of the event loop. */
const atOnce = 256;
/** Whoever has not shown by then that it holds a VIP will hardly do so later. */
const maxLooks = 20;

/**
 * VIPs of Services on a node whose process does not carry Services: left by a killed one that did, or those of another
 * process on this node, alive or about to come back. These cannot be told apart. But an address is on one node only:
 * where another node is named as host of the Service *and* is seen to renew a lease of it, nobody here may have the VIP,
 * and it goes. All others stay, and the log says why.
 *
 * Resolves when there are none (more), after some looks, or when the signal aborts. Never rejects.
 */
export async function removeStrays(
  parts: StraysParts,
  options: StraysOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = parts;
  const found = parts.vips();
  if (found.length === 0) return;
  log.warn(
    'VIPs of Services are on this node, and svc_enable is off: one goes when another node is seen to hold it; otherwise it ' +
      'stays, because another kube-vip on this node may come back for it; where there is none, remove it by hand (ip addr del)',
    { vip: found.join(), count: found.length },
  );
  const isOver = (): boolean => signal.aborted;
  let problem = '';
  const memory: Memory = { leases: new Map(), removed: new Set() };
  for (let look = 0; look < maxLooks && parts.vips().length > 0 && !isOver(); look++) {
    try {
      await removeHeldElsewhere(parts, options, memory, signal);
    } catch (error) {
      if (isOver()) return;
      if (problem !== messageOf(error))
        log.warn('who holds the VIPs of Services is not known', { error: messageOf(error) });
      problem = messageOf(error);
    }
    await clock.sleep('services-strays', options.periodMs, signal).catch(() => undefined);
  }
}

/** What is remembered from look to look. */
interface Memory {
  readonly leases: Map<LeaseKey, LeaseWord>;
  /** One that came back after that has somebody here who wants it. */
  readonly removed: Set<Ip>;
}

async function removeHeldElsewhere(
  parts: StraysParts,
  { node, globalLease }: StraysOptions,
  memory: Memory,
  signal: AbortSignal,
): Promise<void> {
  const { vips, services, lease } = parts;
  const claimantsOf = byAddress(await services(signal));
  const claims = vips().map((vip) => ({ vip, claimants: claimantsOf.get(vip) ?? [] }));
  const keys = claims.flatMap(({ claimants }) => claimants.flatMap((each) => leasesOf(each, globalLease)));
  const holders = new Map<LeaseKey, { readonly node: string; readonly isAlive: boolean }>();
  for (const key of new Set(keys)) {
    const [then, now] = [memory.leases.get(key), await lease(key, signal)];
    if (now === undefined) continue;
    memory.leases.set(key, now);
    const isAlive = then?.holder === now.holder && then.version !== now.version;
    holders.set(key, { node: now.holder.toLowerCase(), isAlive });
  }
  const here = new Set(vips());
  const theirs = new Map<Ip, string>();
  for (const { vip, claimants } of claims) {
    const words = claimants.map((service) => ({
      host: hostOf(service),
      held: leasesOf(service, globalLease).flatMap((key) => holders.get(key) ?? []),
    }));
    const mayBeHere = words.some(({ host, held }) => host === node || held.some((by) => by.node === node));
    const other = words.find(({ host, held }) => held.some((by) => by.isAlive && by.node === host));
    if (mayBeHere || other === undefined || memory.removed.has(vip) || !here.has(vip)) continue;
    memory.removed.add(vip);
    theirs.set(vip, other.host);
  }
  await removeInTurns(parts, theirs, signal);
}

/** `theirs`: VIPs, and the node that has each. */
async function removeInTurns(
  { remove, clock, log }: StraysParts,
  theirs: ReadonlyMap<Ip, string>,
  signal: AbortSignal,
): Promise<void> {
  const gone = [...theirs];
  for (let from = 0; from < gone.length && !signal.aborted; from += atOnce) {
    const some = gone.slice(from, from + atOnce);
    remove(new Set(some.map(([vip]) => vip)));
    for (const [vip, host] of some)
      log.info('a VIP of a Service that another node holds is removed', { vip, host });
    await clock.sleep('services-strays', 0, signal);
  }
}

/** Which Services want each address: there may be thousands of either. */
function byAddress(services: readonly Service[]): ReadonlyMap<Ip, readonly Service[]> {
  const found = new Map<Ip, Service[]>();
  for (const service of services) {
    for (const vip of wantedAddresses(service).addresses) {
      const known = found.get(vip);
      if (known === undefined) found.set(vip, [service]);
      else known.push(service);
    }
  }
  return found;
}

function hostOf(service: Service): string {
  return vipHostOf(service).toLowerCase();
}

/** Any that may decide about it, as another process may be configured. */
function leasesOf(service: Service, globalLease: LeaseKey): readonly LeaseKey[] {
  const { namespace = '', annotations } = service.metadata;
  const shared = annotations?.[annotation.leaseName] ?? '';
  const named = shared.includes('/') ? shared : `${namespace}/${shared}`;
  return [globalLease, ownLeaseOf(service), ...(shared === '' ? [] : [named])];
}
