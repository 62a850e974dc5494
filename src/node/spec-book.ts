import { append } from '../lib/append.ts';
import type { Ip } from '../lib/ip.ts';
import type { Scope } from '../linux/types.ts';
import type {
  AddressSpec,
  AdvertisementSpec,
  AnnouncementSpec,
  GuardSpec,
  Owner,
  RouteSpec,
  Spec,
} from './types.ts';

/** What all owners together want of one VIP on one link. */
export interface WantedAddress {
  readonly vip: Ip;
  readonly link: string;
  readonly prefixLength: number;
  readonly scope: Scope;
  /** Seconds, as things are now; 0 when a tenure ends in less than one. Undefined is forever. */
  readonly validLifetime: number | undefined;
  readonly noDad: boolean;
  readonly mark?: number;
  /** Some owner's fence holds now, or some owner has none. */
  readonly mayAdd: () => boolean;
}

export interface WantedAnnouncement {
  readonly vip: Ip;
  readonly link: string;
  readonly periodMs: number;
  readonly maySend: () => boolean;
}

export interface WantedRoute {
  readonly vip: Ip;
  readonly link: string;
  readonly turn: number;
  readonly maySet: () => boolean;
}

export interface WantedAdvertisement {
  readonly vip: Ip;
  readonly link: string;
  readonly mayAdvertise: () => boolean;
}

/** Names one thing that owners may share: the kind, the link and the VIP. */
export type SpecKey = string;

export function keyOf(spec: Pick<Spec, 'kind' | 'link' | 'vip'>): SpecKey {
  return `${spec.kind} ${spec.link} ${spec.vip}`;
}

/** A spec and its key, which is made once: it is looked up many times, and of thousands at once. */
export interface Keyed<S extends Spec = Spec> {
  readonly key: SpecKey;
  readonly spec: S;
}

export function keyed<S extends Spec>(spec: S): Keyed<S> {
  return { key: keyOf(spec), spec };
}

/** Those of one kind. */
export function ofKind<K extends Spec['kind']>(
  changed: readonly Keyed[],
  kind: K,
): readonly Keyed<SpecOf<K>>[] {
  return changed.filter((each): each is Keyed<SpecOf<K>> => each.spec.kind === kind);
}

interface Held {
  readonly owner: Owner;
  readonly spec: Spec;
}

const nobody: readonly Held[] = [];
const nothing: readonly Keyed[] = [];

/** The specs of all owners, and who wants what. Lists where a map would hold one or two as a rule: they are small. */
export class SpecBook {
  /** Nothing may lead to this VIP for now, whoever wants it. */
  private readonly isHeldBack: (vip: Ip) => boolean;
  private readonly byOwner = new Map<Owner, readonly Keyed[]>();
  /** Owners in the order in which they came. */
  private readonly byKey = new Map<SpecKey, readonly Held[]>();

  constructor(isHeldBack: (vip: Ip) => boolean = () => false) {
    this.isHeldBack = isHeldBack;
  }

  /** Replaces what the owner wanted; returns one spec for each key that it wanted before or wants now. */
  replace(owner: Owner, specs: readonly Spec[]): readonly Keyed[] {
    const before = this.byOwner.get(owner) ?? nothing;
    const after = lastOfEach(specs.map(keyed));
    const others = before.filter(({ key }) => !after.some((mine) => mine.key === key));
    others.forEach(({ key }) => this.forget(owner, key));
    after.forEach(({ key, spec }) => this.note(key, { owner, spec }));
    if (after.length === 0) this.byOwner.delete(owner);
    else this.byOwner.set(owner, after);
    return others.length === 0 ? after : [...others, ...after];
  }

  has(key: SpecKey): boolean {
    return this.byKey.has(key);
  }

  ownersOf(key: SpecKey): readonly Owner[] {
    return (this.byKey.get(key) ?? nobody).map(({ owner }) => owner);
  }

  /** One spec for each key (its first owner's), in the order of arrival. */
  all(): readonly Spec[] {
    return [...this.byKey.values()].flatMap((held) => held.slice(0, 1).map(({ spec }) => spec));
  }

  /** Undefined when nobody wants it, or it is held back. Where owners disagree on the form, the one that came first wins. */
  address(key: SpecKey): WantedAddress | undefined {
    const specs = this.specs(key, 'address');
    const first = specs[0];
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    return new JointAddress(specs, first);
  }

  announcement(key: SpecKey): WantedAnnouncement | undefined {
    const specs = this.specs(key, 'announcement');
    const first = specs[0];
    if (first === undefined) return undefined;
    const periodMs = specs.reduce((least, spec) => Math.min(least, spec.periodMs), first.periodMs);
    return { vip: first.vip, link: first.link, periodMs, maySend: anyHolds(specs) };
  }

  route(key: SpecKey): WantedRoute | undefined {
    const specs = this.specs(key, 'route');
    const first = specs[0];
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    const turn = Math.max(...specs.map((spec) => spec.turn));
    return { vip: first.vip, link: first.link, turn, maySet: anyHolds(specs) };
  }

  advertisement(key: SpecKey): WantedAdvertisement | undefined {
    const specs = this.specs(key, 'advertisement');
    const first = specs[0];
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    return { vip: first.vip, link: first.link, mayAdvertise: anyHolds(specs) };
  }

  /** Of each owner. */
  guards(key: SpecKey): readonly GuardSpec[] {
    return this.specs(key, 'guard');
  }

  /** The kind is part of the key. */
  private specs<K extends Spec['kind']>(key: SpecKey, kind: K): readonly SpecOf<K>[] {
    let found: readonly SpecOf<K>[] = [];
    this.byKey.get(key)?.forEach(({ spec }) => {
      if (isOf(spec, kind)) found = append(found, spec);
    });
    return found;
  }

  private note(key: SpecKey, mine: Held): void {
    const held = this.byKey.get(key) ?? nobody;
    const isKnown = held.some(({ owner }) => owner === mine.owner);
    const now = isKnown ? held.map((each) => (each.owner === mine.owner ? mine : each)) : append(held, mine);
    this.byKey.set(key, now);
  }

  private forget(owner: Owner, key: SpecKey): void {
    const others = (this.byKey.get(key) ?? nobody).filter((each) => each.owner !== owner);
    if (others.length === 0) this.byKey.delete(key);
    else this.byKey.set(key, others);
  }
}

/** An owner wants few things: nearly always each of them once. */
function lastOfEach(specs: readonly Keyed[]): readonly Keyed[] {
  const isLast = ({ key }: Keyed, at: number): boolean =>
    !specs.some((other, i) => i > at && other.key === key);
  return specs.every(isLast) ? specs : specs.filter(isLast);
}

type SpecOf<K extends Spec['kind']> = Extract<Spec, { readonly kind: K }>;

function isOf<K extends Spec['kind']>(spec: Spec, kind: K): spec is SpecOf<K> {
  return spec.kind === kind;
}

/** A class, because a thousand come at once: an object with a getter made in place takes many times as long. */
class JointAddress implements WantedAddress {
  readonly vip: Ip;
  readonly link: string;
  readonly prefixLength: number;
  readonly scope: Scope;
  readonly noDad: boolean;
  readonly mark?: number;
  readonly mayAdd: () => boolean;
  private readonly specs: readonly AddressSpec[];

  constructor(specs: readonly AddressSpec[], { vip, link, prefixLength, scope, mark }: AddressSpec) {
    this.vip = vip;
    this.link = link;
    this.prefixLength = prefixLength;
    this.scope = scope;
    this.noDad = specs.some(({ noDad, fence }) => noDad || fence?.wasHandedOver?.() === true);
    if (mark !== undefined) this.mark = mark;
    this.mayAdd = anyHolds(specs);
    this.specs = specs;
  }

  get validLifetime(): number | undefined {
    return longest(this.specs);
  }
}

/** An owner that wants it forever outlasts all others. */
function longest(specs: readonly AddressSpec[]): number | undefined {
  const most = specs.reduce((longer, spec) => Math.max(longer, lifetimeOf(spec)), -Infinity);
  return most === Infinity ? undefined : most;
}

function lifetimeOf({ validLifetime, fence }: AddressSpec): number {
  if (validLifetime !== 'tenure') return validLifetime ?? Infinity;
  return Math.floor((fence?.remainingMs?.() ?? Infinity) / 1000);
}

/** Asked for every frame, and one owner is the rule. */
function anyHolds(
  specs: readonly (AddressSpec | AnnouncementSpec | RouteSpec | AdvertisementSpec)[],
): () => boolean {
  const only = specs.length === 1 ? specs[0]?.fence : undefined;
  if (only !== undefined) return () => only.holds();
  const fences = specs.map(({ fence }) => fence);
  if (fences.includes(undefined)) return () => true;
  return () => fences.some((fence) => fence?.holds() === true);
}
