import type { Ip } from '../lib/ip.ts';
import { clip } from '../lib/text.ts';
import type { Entry } from './catalogue.ts';
import { isLocal, type Claim } from './decide.ts';
import { annotation, type LeaseKey } from './types.ts';

/** Two Services on one address want what only one of them can have. */
export interface Conflict {
  readonly reason:
    'LeaseConflict' | 'PolicyConflict' | 'InterfaceConflict' | 'SecurityConflict' | 'PortConflict';
  /** Names the field, both Services, and what is done. */
  readonly message: string;
}

/** A Service with its claim. */
export type Claimant = Entry & { readonly claim: Claim };

/** Who has his way where only one can. Age first, so that a newcomer never moves those that are there; then the name. */
export function isOlder(a: Entry, b: Entry): boolean {
  const [ageA, ageB] = [
    a.service.metadata.creationTimestamp ?? '',
    b.service.metadata.creationTimestamp ?? '',
  ];
  return ageA === ageB ? a.key < b.key : ageA < ageB;
}

/**
 * What a Service and another one that has an address in common with it disagree about. `lease` is the one that
 * decides about both, `firstOf` the oldest Service that has an address. Each of the two is told; neither is withheld for it.
 */
export function conflictsBetween(
  own: Claimant,
  other: Claimant,
  lease: LeaseKey,
  firstOf: (vip: Ip) => Entry | undefined,
): readonly Conflict[] {
  const shared = own.claim.addresses.find((address) => other.claim.addresses.includes(address));
  if (shared === undefined) return [];
  return [
    ...leaseConflict(own, other, shared, lease),
    ...policyConflict(own, other, shared),
    ...interfaceConflict(own, other, shared, firstOf(shared) ?? own),
    ...securityConflict(own, other, shared),
    ...portConflicts(own, other, shared),
  ];
}

/** Only a lease that was asked for by name can be missed. */
function leaseConflict(own: Claimant, other: Claimant, vip: Ip, lease: LeaseKey): readonly Conflict[] {
  const asked = own.service.metadata.annotations?.[annotation.leaseName] ?? '';
  const theirs = other.service.metadata.annotations?.[annotation.leaseName] ?? '';
  if (own.claim.lease === other.claim.lease || (asked === '' && theirs === '')) return [];
  const wishes = `lease ${own.claim.lease} of ${own.key} and ${other.claim.lease} of ${other.key}`;
  const message = `${annotation.leaseName}: ${wishes} on ${vip}: an address has one holder, ${lease} decides`;
  return [{ reason: 'LeaseConflict', message }];
}

function policyConflict(own: Claimant, other: Claimant, vip: Ip): readonly Conflict[] {
  if (isLocal(own.service) === isLocal(other.service)) return [];
  const [local, cluster] = isLocal(own.service) ? [own, other] : [other, own];
  const message = `spec.externalTrafficPolicy: Local of ${local.key} and Cluster of ${cluster.key} on ${vip}: it may be on a node without an endpoint of ${local.key}`;
  return [{ reason: 'PolicyConflict', message }];
}

function interfaceConflict(own: Claimant, other: Claimant, vip: Ip, first: Entry): readonly Conflict[] {
  const [ours, theirs] = [own.claim.link ?? '', other.claim.link ?? ''];
  if (ours === theirs) return [];
  const name = (link: string): string => (link === '' ? 'none' : clip(link));
  const message = `${annotation.interface}: ${name(ours)} of ${own.key} and ${name(theirs)} of ${other.key}: ${vip} is on one link, that of ${first.key}, the oldest`;
  return [{ reason: 'InterfaceConflict', message }];
}

function securityConflict(own: Claimant, other: Claimant, vip: Ip): readonly Conflict[] {
  const isOpen = ({ service }: Claimant): boolean =>
    service.metadata.annotations?.[annotation.ignoreSecurity] === 'true';
  if (isOpen(own) === isOpen(other)) return [];
  const [open, closed] = isOpen(own) ? [own, other] : [other, own];
  const message = `${annotation.ignoreSecurity}: set for ${open.key} and not for ${closed.key}: ${vip} is open for both`;
  return [{ reason: 'SecurityConflict', message }];
}

function portConflicts(own: Claimant, other: Claimant, vip: Ip): readonly Conflict[] {
  const theirs = new Set((other.service.spec?.ports ?? []).map(portName));
  const both = (own.service.spec?.ports ?? []).map(portName).filter((port) => theirs.has(port));
  if (both.length === 0) return [];
  const message = `spec.ports: ${both.join()} of ${own.key} and of ${other.key} on ${vip}: one of them gets the connections of both`;
  return [{ reason: 'PortConflict', message }];
}

function portName({ port, protocol = 'TCP' }: { readonly port: number; readonly protocol?: string }): string {
  return `${port}/${protocol}`;
}
