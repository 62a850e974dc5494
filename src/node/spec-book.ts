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

interface Held {
  readonly owner: Owner;
  readonly spec: Spec;
}

const nobody: readonly Held[] = [];

/** The specs of all owners, and who wants what. Lists where a map would hold one or two as a rule: they are small. */
export class SpecBook {
  /** Nothing may lead to this VIP for now, whoever wants it. */
  private readonly isHeldBack: (vip: Ip) => boolean;
  private readonly byOwner = new Map<Owner, readonly (readonly [SpecKey, Spec])[]>();
  /** Owners in the order in which they came. */
  private readonly byKey = new Map<SpecKey, readonly Held[]>();

  constructor(isHeldBack: (vip: Ip) => boolean = () => false) {
    this.isHeldBack = isHeldBack;
  }

  /** Replaces what the owner wanted; returns one spec for each key that it wanted before or wants now. */
  replace(owner: Owner, specs: readonly Spec[]): readonly Spec[] {
    const before = this.byOwner.get(owner) ?? [];
    const after = new Map<SpecKey, Spec>();
    for (const spec of specs) after.set(keyOf(spec), spec);
    for (const [key] of before) if (!after.has(key)) this.forget(owner, key);
    for (const [key, spec] of after) this.note(key, { owner, spec });
    if (after.size === 0) this.byOwner.delete(owner);
    else this.byOwner.set(owner, [...after]);
    return before.length === 0 ? [...after.values()] : [...new Map([...before, ...after]).values()];
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
    const specs = this.specs(key).filter((spec) => spec.kind === 'address');
    const [first] = specs;
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    const { vip, link, prefixLength, scope } = first;
    const mark = first.mark === undefined ? {} : { mark: first.mark };
    const noDad = specs.some((spec) => spec.noDad);
    return {
      ...{ vip, link, prefixLength, scope, noDad, ...mark },
      get validLifetime() {
        return longest(specs);
      },
      mayAdd: anyHolds(specs),
    };
  }

  announcement(key: SpecKey): WantedAnnouncement | undefined {
    const specs = this.specs(key).filter((spec) => spec.kind === 'announcement');
    const [first] = specs;
    if (first === undefined) return undefined;
    const periodMs = Math.min(...specs.map((spec) => spec.periodMs));
    return { vip: first.vip, link: first.link, periodMs, maySend: anyHolds(specs) };
  }

  route(key: SpecKey): WantedRoute | undefined {
    const specs = this.specs(key).filter((spec) => spec.kind === 'route');
    const [first] = specs;
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    const turn = Math.max(...specs.map((spec) => spec.turn));
    return { vip: first.vip, link: first.link, turn, maySet: anyHolds(specs) };
  }

  advertisement(key: SpecKey): WantedAdvertisement | undefined {
    const specs = this.specs(key).filter((spec) => spec.kind === 'advertisement');
    const [first] = specs;
    if (first === undefined || this.isHeldBack(first.vip)) return undefined;
    return { vip: first.vip, link: first.link, mayAdvertise: anyHolds(specs) };
  }

  /** Of each owner. */
  guards(key: SpecKey): readonly GuardSpec[] {
    return this.specs(key).filter((spec) => spec.kind === 'guard');
  }

  private specs(key: SpecKey): readonly Spec[] {
    return (this.byKey.get(key) ?? nobody).map(({ spec }) => spec);
  }

  private note(key: SpecKey, mine: Held): void {
    const held = this.byKey.get(key) ?? nobody;
    const isKnown = held.some(({ owner }) => owner === mine.owner);
    const now = isKnown ? held.map((each) => (each.owner === mine.owner ? mine : each)) : [...held, mine];
    this.byKey.set(key, now);
  }

  private forget(owner: Owner, key: SpecKey): void {
    const others = (this.byKey.get(key) ?? nobody).filter((each) => each.owner !== owner);
    if (others.length === 0) this.byKey.delete(key);
    else this.byKey.set(key, others);
  }
}

/** An owner that wants it forever outlasts all others. */
function longest(specs: readonly AddressSpec[]): number | undefined {
  const most = Math.max(...specs.map(lifetimeOf));
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
  const fences = specs.map(({ fence }) => fence);
  const [first, second] = fences;
  if (fences.includes(undefined)) return () => true;
  if (first !== undefined && second === undefined) return () => first.holds();
  return () => fences.some((fence) => fence?.holds() === true);
}
