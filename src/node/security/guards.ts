import type { Clock, Timer } from '../../lib/clock.ts';
import type { Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import type { Hex, Nftables, NftTable } from '../../linux/index.ts';
import { newCounters } from '../forwarding/counters.ts';
import { addressHex } from '../forwarding/nftables/data.ts';
import { Tables } from '../forwarding/nftables/tables.ts';
import { keyOf, type Keyed, type SpecBook } from '../spec-book.ts';
import type { GuardedPort, GuardSpec, Spec, SpecState } from '../types.ts';
import { GuardUses, type GuardChange } from './changes.ts';
import { inheritedElements } from './inherited.ts';
import { guardElements, guardTable, type GuardElements } from './tables.ts';

export interface GuardsParts {
  readonly nftables: Nftables;
  /** Name of our tables; another one for each instance on this machine. */
  readonly table: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly book: SpecBook;
  /** These are held back from now on, for this reason, or no longer are. */
  readonly heldBack: (vips: readonly Ip[], problem: string | undefined) => void;
}

interface Guarded {
  readonly vip: Ip;
  readonly signature: string;
  readonly elements: GuardElements;
}

/** The event that says that something changed may have been missed; the kernel is asked whether one was. */
const checkMs = 10_000;

/**
 * Keeps packets that no Service wants away from VIPs, as guard specs say:
 *
 *   wanted    in the kernel before the address is added
 *   unwanted  removed after it, in the same turn
 *   crashed   what a predecessor wrote stays as long as its address does, or until a spec takes over
 *   failed    a VIP without its rules in the kernel is held back until they are there: nothing is open that
 *             somebody wants closed
 *
 * A VIP with an owner that has no guard spec for it is open: only the source ranges of the others count.
 */
export class Guards {
  private readonly parts: GuardsParts;
  private readonly tables: Tables;
  private readonly guarded = new Map<Hex, Guarded>();
  private readonly uses = new GuardUses();
  /** What the kernel guards; undefined: all that it should. */
  private inKernel: ReadonlySet<Hex> | undefined;
  private told = new Map<Hex, Ip>();
  /** Somebody was answered that they are held back. */
  private readonly answered = new Map<Hex, Ip>();
  private telling: Timer | undefined;
  private inherited = new Map<Hex, GuardElements>();
  /** Links by VIP: a VIP can be on several, and a packet does not tell for which. */
  private readonly links = new Map<Ip, Set<string>>();
  private hasApplied = false;
  private timer: Timer | undefined;

  constructor(parts: GuardsParts) {
    this.parts = parts;
    const { nftables, clock, table } = parts;
    const log = parts.log.child('security');
    const shared = { clock, log, observer: {}, counters: newCounters() };
    this.tables = new Tables(nftables, shared, table, (kernel) => {
      if (kernel === 'as wanted') this.inKernel = undefined;
      else if (kernel !== 'unknown') this.inKernel = new Set(inheritedElements(kernel).keys());
      else this.inKernel ??= new Set(this.guarded.keys());
      this.tellSoon();
    });
  }

  /** Rejects with KernelError when nf_tables cannot be watched or read. */
  async start(): Promise<void> {
    await this.tables.start();
    this.inherited = new Map(inheritedElements(await this.parts.nftables.read(this.parts.table, [])));
    const inherited = [...this.inherited.values()];
    this.uses.take(
      this.parts.table,
      inherited.map((after) => ({ before: undefined, after })),
    );
    this.arm();
  }

  close(): void {
    this.telling?.cancel();
    this.timer?.cancel();
    this.tables.stop();
  }

  /** Called before addresses change: what these specs want guarded is guarded on return. */
  specsWanted(changed: readonly Keyed[]): void {
    const changes: GuardChange[] = [];
    for (const vip of this.touched(changed)) {
      const wanted = this.wantedFor(vip);
      if (wanted === undefined) continue;
      const key = addressHex(vip);
      const signature = JSON.stringify(wanted);
      const known = this.guarded.get(key);
      if (known?.signature === signature) continue;
      const before = known?.elements ?? this.inherited.get(key);
      const after = guardElements({ vip, ...wanted });
      this.inherited.delete(key);
      this.guarded.set(key, { vip, signature, elements: after });
      changes.push({ before, after });
    }
    this.apply(changes);
  }

  /** Called after addresses have changed: what nobody wants guarded any more is free on return. */
  specsUnwanted(changed: readonly Keyed[]): void {
    const changes: GuardChange[] = [];
    for (const vip of this.touched(changed)) {
      if (this.wantedFor(vip) !== undefined) continue;
      const key = addressHex(vip);
      const before = this.guarded.get(key)?.elements;
      this.guarded.delete(key);
      if (before !== undefined) changes.push({ before, after: undefined });
    }
    this.apply(changes);
  }

  /** Leftovers were swept; those that are still there stay guarded. */
  swept(left: readonly Ip[]): void {
    const keys = new Set(left.map(addressHex));
    const changes: GuardChange[] = [];
    for (const [key, before] of this.inherited) {
      if (keys.has(key)) continue;
      this.inherited.delete(key);
      changes.push({ before, after: undefined });
    }
    this.apply(changes);
    // At least once: a predecessor's tables may have nothing in them that is still here.
    if (!this.hasApplied) this.applyAll();
  }

  /** Its rules are not in the kernel, and no owner wants it open. */
  holdsBack(vip: Ip): boolean {
    const key = addressHex(vip);
    if (!this.isHeld(key)) return false;
    this.answered.set(key, vip);
    return true;
  }

  private isHeld(key: Hex): boolean {
    return this.guarded.get(key)?.elements.isOpen === false && this.inKernel?.has(key) === false;
  }

  state(): SpecState {
    const { problem, isReady } = this.tables;
    if (problem !== undefined) return { state: 'failed', reason: problem, retryInMs: undefined };
    return isReady ? { state: 'ready' } : { state: 'waiting', reason: 'reading the kernel' };
  }

  /** One change costs what it changes, not what is guarded: that can be ten thousand VIPs. */
  private apply(changes: readonly GuardChange[]): void {
    if (changes.length === 0) return;
    const steps = this.uses.take(this.parts.table, changes);
    if (!this.hasApplied) {
      this.applyAll();
      return;
    }
    const before = (): readonly NftTable[] => {
      const fresh = new Set(changes.map(({ after }) => after));
      const old = changes.flatMap((change) => change.before ?? []);
      return this.tablesOf([...this.all().filter((each) => !fresh.has(each)), ...old]);
    };
    this.tables.setBy(steps, before, () => this.tablesOf(this.all()));
  }

  private applyAll(): void {
    this.hasApplied = true;
    this.tables.set(this.tablesOf(this.all()));
  }

  private all(): readonly GuardElements[] {
    return [...this.inherited.values(), ...[...this.guarded.values()].map(({ elements }) => elements)];
  }

  private tablesOf(all: readonly GuardElements[]): readonly NftTable[] {
    const families = (['ip', 'ip6'] as const).filter((l3) => all.some((each) => each.l3 === l3));
    return families.map((l3) => guardTable(l3, this.parts.table, all));
  }

  /** In the next turn: those who are told change what is wanted, which must not happen in the middle of it. */
  private tellSoon(): void {
    if (this.inKernel === undefined && this.told.size + this.answered.size === 0) return;
    this.telling ??= this.parts.clock.after('guards changed', 0, () => {
      this.telling = undefined;
      const held = [...this.guarded].filter(([key]) => this.isHeld(key));
      // Also those that were held back for so short a while that nobody was told.
      const free = new Map([...this.told, ...this.answered]);
      const before = this.told;
      this.told = new Map(held.map(([key, { vip }]) => [key, vip]));
      this.answered.clear();
      const isNews = (one: Map<Hex, Ip>, other: Map<Hex, Ip>): readonly Ip[] =>
        [...one].flatMap(([key, vip]) => (other.has(key) ? [] : [vip]));
      const { heldBack } = this.parts;
      heldBack(isNews(this.told, before), this.tables.problem ?? 'their turn');
      heldBack(isNews(free, this.told), undefined);
    });
  }

  /** What all owners together let in; undefined when none wants it guarded. */
  private wantedFor(
    vip: Ip,
  ): { readonly ports: readonly GuardedPort[]; readonly isOpen: boolean } | undefined {
    const { book } = this.parts;
    const guards: GuardSpec[] = [];
    let isOpen = false;
    for (const link of this.links.get(vip) ?? []) {
      const key = keyOf({ kind: 'guard', link, vip });
      guards.push(...book.guards(key));
      const guarding = new Set(book.ownersOf(key));
      isOpen ||= book.ownersOf(keyOf({ kind: 'address', link, vip })).some((owner) => !guarding.has(owner));
    }
    return guards.length === 0 ? undefined : { ports: mergePorts(guards), isOpen };
  }

  /** The VIPs that these specs are about. */
  private touched(changed: readonly Keyed[]): ReadonlySet<Ip> {
    const vips = new Set<Ip>();
    for (const { spec } of changed) {
      const { vip, link } = spec;
      const isWanted = (kind: Spec['kind']): boolean => this.parts.book.has(keyOf({ kind, link, vip }));
      const links = this.links.get(vip) ?? new Set();
      if (isWanted('address') || isWanted('guard')) links.add(link);
      else links.delete(link);
      if (links.size > 0) this.links.set(vip, links);
      else this.links.delete(vip);
      vips.add(vip);
    }
    return vips;
  }

  private arm(): void {
    this.timer = this.parts.clock.after('check guards', checkMs, () => {
      void this.tables.checkMissed();
      this.arm();
    });
  }
}

/** A port that several owners have lets in whom any of them lets in. */
function mergePorts(guards: readonly GuardSpec[]): readonly GuardedPort[] {
  const merged = new Map<string, GuardedPort>();
  for (const guard of guards) {
    for (const port of guard.ports) {
      const name = `${port.protocol} ${port.port}`;
      const { sources } = merged.get(name) ?? port;
      const isForAll = sources === undefined || port.sources === undefined;
      merged.set(name, {
        ...port,
        sources: isForAll ? undefined : [...new Set([...sources, ...port.sources])],
      });
    }
  }
  return [...merged.values()];
}

/** Where nothing is to be guarded: what an earlier process with other settings left is removed. */
export async function removeGuards(nftables: Nftables, table: string): Promise<void> {
  const found = await nftables.read(table, []);
  nftables.commit(found.map(({ family }) => ({ do: 'delete table', family, table })));
}
