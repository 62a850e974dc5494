import { familyOf, hostLength, ipFromBytes, ipToBytes, type Ip } from '../../lib/ip.ts';
import type { Address, AddressKey, AddressRequest, Link } from '../../linux/types.ts';
import { isMarked, OWNER_PROTOCOL } from '../mark.ts';
import { addressId } from '../observed.ts';
import type { WantedAddress } from '../spec-book.ts';

/** Everything that decides what becomes of one VIP on one link. */
export interface AddressView {
  /** Undefined: nobody wants it any more. */
  readonly wanted: WantedAddress | undefined;
  /** The link of that name, if there is one now. */
  readonly link: Link | undefined;
  /** Every address of this node with the VIP's number, on whatever link and whoever put it there. */
  readonly observed: readonly Address[];
  /** What this process put on a link for this VIP, or adopted, and has not seen going. */
  readonly placed: readonly AddressKey[];
  /** Skip duplicate address detection whatever the spec says: it has failed, or was passed before. */
  readonly skipDad: boolean;
  /** False once the mark was written and did not stay (kernels before 5.18). */
  readonly mayMark: boolean;
  /** Its limited lifetime is to be written anew. */
  readonly renew: boolean;
}

/** Why an address is written. */
export type SetReason = 'missing' | 'dad-failed' | 'changed' | 'unmarked';

export type AddressState =
  /** On the link and usable, or about to be by `set`. */
  | { readonly kind: 'present'; readonly foreign: boolean }
  | { readonly kind: 'detecting' }
  | { readonly kind: 'waiting'; readonly for: 'link' | 'lease'; readonly reason: string }
  /** Nobody wants it. */
  | { readonly kind: 'unwanted' };

/** What to do, in this order: `removeFirst`, `set`, `removeAfter`. */
export interface AddressPlan {
  readonly state: AddressState;
  /** Only what cannot be changed in place. */
  readonly removeFirst: readonly AddressKey[];
  readonly set: { readonly request: AddressRequest; readonly reason: SetReason } | undefined;
  readonly removeAfter: readonly AddressKey[];
  /** On the link, ours, and staying there. */
  readonly keep: AddressKey | undefined;
}

export function planAddress(view: AddressView): AddressPlan {
  const { wanted, link } = view;
  const stale = (keep: AddressKey | undefined): readonly AddressKey[] =>
    view.placed.filter((key) => keep === undefined || addressId(key) !== addressId(keep));
  if (wanted === undefined) return plan({ kind: 'unwanted' }, { removeAfter: stale(undefined) });
  if (link === undefined) {
    const state = { kind: 'waiting', for: 'link', reason: `no link ${wanted.link}` } as const;
    return plan(state, { removeAfter: stale(undefined) });
  }
  const key = { ifindex: link.index, address: wanted.vip, prefixLength: wanted.prefixLength };
  const here = view.observed.filter(({ ifindex }) => ifindex === link.index);
  const target = here.find((address) => addressId(address) === addressId(key));
  if (target === undefined && !wanted.mayAdd()) {
    const state = { kind: 'waiting', for: 'lease', reason: 'the lease is not held' } as const;
    return plan(state, { removeAfter: stale(key) });
  }
  // A predecessor's address with another prefix; IPv6 has the address once, so there it is the target.
  const misfits = here.filter((address) => address !== target && isLeft(address));
  const old = view.placed.length === 0 ? misfits : [...stale(key), ...misfits];
  const removeAfter = old.length < 2 ? old : unique(old);
  if (target === undefined) return planMissing(view, wanted, link, removeAfter);
  return planPresent(view, wanted, link, target, removeAfter);
}

function planMissing(
  view: AddressView,
  wanted: WantedAddress,
  link: Link,
  removeAfter: readonly AddressKey[],
): AddressPlan {
  if (familyOf(wanted.vip) === 6 && !link.adminUp) {
    const state = { kind: 'waiting', for: 'link', reason: `link ${link.name} is down` } as const;
    return plan(state, { removeAfter });
  }
  const request = requestFor(wanted, link.index, wanted.noDad || view.skipDad);
  return plan(stateAfter(request, link), { set: { request, reason: 'missing' }, removeAfter });
}

function planPresent(
  view: AddressView,
  wanted: WantedAddress,
  link: Link,
  target: Address,
  removeAfter: readonly AddressKey[],
): AddressPlan {
  if (!isOurs(view, target)) {
    const state: AddressState = target.tentative ? { kind: 'detecting' } : { kind: 'present', foreign: true };
    return plan(state, { removeAfter });
  }
  // Without tenure nothing is written; what stands is for whoever sweeps or withdraws.
  if (!wanted.mayAdd()) return plan(stateOf(target), { removeAfter, keep: target });
  const noDad = wanted.noDad || target.dadFailed || (view.skipDad && target.noDad);
  const request = requestFor(wanted, target.ifindex, noDad);
  if (target.dadFailed || mustRecreate(target, request)) {
    const reason = target.dadFailed ? 'dad-failed' : 'changed';
    return plan(stateAfter(request, link), { removeFirst: [target], set: { request, reason }, removeAfter });
  }
  const reason = view.renew ? 'changed' : whyReplace(target, request, view.mayMark);
  const set = reason === undefined ? undefined : { request, reason };
  return plan(stateOf(target), { keep: target, set, removeAfter });
}

/** Left by a predecessor, or put there by this process. */
function isOurs(view: AddressView, target: Address): boolean {
  return isLeft(target) || view.placed.some((key) => addressId(key) === addressId(target));
}

/** Marked, or as every kube-vip leaves a VIP: deprecated. What is a node's own address is not. */
function isLeft(address: Address): boolean {
  return isMarked(address) || address.deprecated;
}

function stateAfter(request: AddressRequest, link: Link): AddressState {
  const detecting = familyOf(request.address) === 6 && !request.noDad && !link.loopback;
  return detecting ? { kind: 'detecting' } : { kind: 'present', foreign: false };
}

function stateOf(target: Address): AddressState {
  return target.tentative || target.dadFailed ? { kind: 'detecting' } : { kind: 'present', foreign: false };
}

/** What a replace does not change: the prefix of an IPv6 address, scope and broadcast of an IPv4 one. */
function mustRecreate(target: Address, request: AddressRequest): boolean {
  if (familyOf(target.address) === 6) return target.prefixLength !== request.prefixLength;
  return target.scope !== request.scope || target.broadcast !== request.broadcast;
}

/** Only what we manage is compared; a running lifetime is as good as a fresh one. */
function whyReplace(target: Address, request: AddressRequest, mayMark: boolean): SetReason | undefined {
  const isForever = target.validLifetime === undefined;
  if (!target.deprecated || isForever !== (request.validLifetime === undefined)) return 'changed';
  if (request.noDad && !target.noDad) return 'changed';
  return mayMark && !isMarked(target) ? 'unmarked' : undefined;
}

/** The address as it should be: deprecated, so that it is never chosen as a source, and marked as ours. */
export function requestFor(wanted: WantedAddress, ifindex: number, noDad: boolean): AddressRequest {
  const { vip, prefixLength, validLifetime } = wanted;
  return {
    ifindex,
    address: vip,
    prefixLength,
    scope: wanted.scope,
    // The kernel knows no shorter one.
    validLifetime: validLifetime === undefined ? undefined : Math.max(1, validLifetime),
    preferredLifetime: 0,
    noDad: noDad && familyOf(vip) === 6,
    broadcast: broadcastOf(vip, prefixLength),
    protocol: wanted.mark ?? OWNER_PROTOCOL,
  };
}

/**
 * What the kernel is about to report of an address that was asked for; the flags it owns are as they will be right
 * after the write. `isDetecting`: detection of duplicates begins, where the family has it.
 */
export function expectedAddress(request: AddressRequest, isDetecting = false): Address {
  return {
    ...request,
    deprecated: true,
    tentative: isDetecting && familyOf(request.address) === 6,
    dadFailed: false,
    permanent: request.validLifetime === undefined,
  };
}

/** All host bits set; undefined for IPv6 and for prefixes that have no broadcast address (RFC 3021). */
export function broadcastOf(vip: Ip, prefixLength: number): Ip | undefined {
  if (familyOf(vip) === 6 || prefixLength > hostLength(vip) - 2) return undefined;
  const bytes = ipToBytes(vip);
  return ipFromBytes(bytes.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefixLength - i * 8)))));
}

const nothing: readonly AddressKey[] = [];

function plan(state: AddressState, steps: Partial<Omit<AddressPlan, 'state'>>): AddressPlan {
  const { removeFirst = nothing, set, removeAfter = nothing, keep } = steps;
  return { state, removeFirst, set, removeAfter, keep };
}

function unique(keys: readonly AddressKey[]): readonly AddressKey[] {
  return [...new Map(keys.map((key) => [addressId(key), key])).values()];
}
