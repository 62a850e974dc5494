import ipaddr from 'ipaddr.js';
import type { Clock, Timer } from './clock.ts';
import { messageOf } from './errors.ts';
import { familyOf, type Ip } from './ip.ts';
import type { Logger } from './log.ts';

/** Asks the machine's resolver for all addresses of a name, in its order. Rejects when there are none. */
export type ResolveName = (name: string) => Promise<readonly Ip[]>;

/**
 * Which addresses of a name become VIPs: `first` of all, the first of one family, the first of each
 * (`dual`), or of each and both must be there (`both`).
 */
export type NameFamilies = 'first' | 'ipv4' | 'ipv6' | 'dual' | 'both';

/** What is known about a name; undefined: it is being asked for the first time. */
export type NameAnswer = { readonly addresses: readonly Ip[] } | { readonly problem: string } | undefined;

export interface NameView {
  answerOf(name: string): NameAnswer;
}

export const noNames: NameView = { answerOf: () => undefined };

/** A name is asked about this often, whatever its TTL: what changes is followed within it. */
const periodMs = 3000;
/** Questions under way at a time. */
const maxAsking = 8;
/** Of those, about names that were not answered for this long the last time: the system asks two at a time only. */
const maxAskingSlow = 1;
const slowMs = 1000;

export interface NamesParts<User> {
  readonly resolve: ResolveName;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is known about a name of theirs is something else now. */
  readonly changed: (users: ReadonlySet<User>) => void;
}

interface Entry<User> {
  readonly users: Set<User>;
  answer: NameAnswer;
  isAsking: boolean;
  /** No answer came for a while, the last time. */
  isSlow: boolean;
  /** The answer is an old one: the last question failed. */
  isStale: boolean;
}

/**
 * The names that stand for VIPs, asked about as long as somebody wants them. A name that
 * cannot be resolved any more keeps its last answer: a resolver that fails takes no VIP away.
 */
export class Names<User extends string> implements NameView {
  private readonly parts: NamesParts<User>;
  private readonly entries = new Map<string, Entry<User>>();
  private readonly namesOf = new Map<User, readonly string[]>();
  private queue: string[] = [];
  private asking = 0;
  private askingSlow = 0;
  private timer: Timer | undefined;

  constructor(parts: NamesParts<User>) {
    this.parts = parts;
  }

  answerOf(name: string): NameAnswer {
    return this.entries.get(name)?.answer;
  }

  /** The names of this user from now on. New ones are asked for at once. */
  want(user: User, names: readonly string[]): void {
    const before = this.namesOf.get(user) ?? [];
    if (before.length + names.length === 0) return;
    for (const name of before) if (!names.includes(name)) this.leave(name, user);
    if (names.length === 0) this.namesOf.delete(user);
    else this.namesOf.set(user, names);
    for (const name of names) {
      const known = this.entries.get(name);
      if (known !== undefined) {
        known.users.add(user);
        continue;
      }
      const fresh = { answer: undefined, isAsking: false, isSlow: false, isStale: false };
      this.entries.set(name, { users: new Set([user]), ...fresh });
      this.queue.push(name);
    }
    this.ask();
    this.arm();
  }

  close(): void {
    this.timer?.cancel();
    this.queue = [];
    this.entries.clear();
  }

  private leave(name: string, user: User): void {
    const entry = this.entries.get(name);
    entry?.users.delete(user);
    if (entry?.users.size === 0) this.entries.delete(name);
  }

  private arm(): void {
    if (this.entries.size === 0) return;
    this.timer ??= this.parts.clock.after('names', periodMs, () => {
      this.timer = undefined;
      this.queue = [...this.entries].flatMap(([name, { isAsking }]) => (isAsking ? [] : [name]));
      this.ask();
      this.arm();
    });
  }

  private ask(): void {
    // Those whose name servers are silent must not hold up the others.
    const held: string[] = [];
    while (this.asking < maxAsking) {
      const name = this.queue.shift();
      if (name === undefined) break;
      const entry = this.entries.get(name);
      if (entry === undefined || entry.isAsking) continue;
      if (entry.isSlow && this.askingSlow >= maxAskingSlow) held.push(name);
      else this.askFor(name, entry);
    }
    this.queue.unshift(...held);
  }

  private askFor(name: string, entry: Entry<User>): void {
    const { clock, resolve } = this.parts;
    const { isSlow } = entry;
    const startedAt = clock.now();
    // To the end: who has waited longest comes first the next time.
    this.entries.delete(name);
    this.entries.set(name, entry);
    entry.isAsking = true;
    this.asking++;
    if (isSlow) this.askingSlow++;
    resolve(name)
      .then(
        (addresses) => {
          this.answered(name, entry, addresses);
        },
        (error: unknown) => {
          this.failed(name, entry, messageOf(error));
        },
      )
      .finally(() => {
        entry.isAsking = false;
        entry.isSlow = clock.now() - startedAt >= slowMs;
        this.asking--;
        if (isSlow) this.askingSlow--;
        this.ask();
      });
  }

  /** Addresses that were there before come first: a resolver that rotates its answers moves no VIP. */
  private answered(name: string, entry: Entry<User>, found: readonly Ip[]): void {
    const usable = [...new Set(found)].filter(isUsable);
    if (usable.length === 0) {
      this.failed(name, entry, `${found.join()} cannot be a VIP`);
      return;
    }
    entry.isStale = false;
    const before = entry.answer !== undefined && 'addresses' in entry.answer ? entry.answer.addresses : [];
    const kept = before.filter((address) => usable.includes(address));
    const addresses = [...kept, ...usable.filter((address) => !kept.includes(address))];
    if (before.join() !== addresses.join()) this.settle(name, entry, { addresses });
  }

  private failed(name: string, entry: Entry<User>, problem: string): void {
    const { answer } = entry;
    if (answer !== undefined && 'addresses' in answer) {
      const message = 'a name cannot be resolved any more; its last addresses stay';
      if (!entry.isStale) this.parts.log.warn(message, { name, error: problem });
      entry.isStale = true;
      return;
    }
    if (answer?.problem !== problem) this.settle(name, entry, { problem });
  }

  private settle(name: string, entry: Entry<User>, answer: NonNullable<NameAnswer>): void {
    if (this.entries.get(name) !== entry) return;
    entry.answer = answer;
    this.parts.changed(entry.users);
  }
}

/** Picks the VIPs; or says why there are none. */
export function pickAddresses(addresses: readonly Ip[], families: NameFamilies): readonly Ip[] | string {
  const of = (family: 4 | 6): readonly Ip[] =>
    addresses.filter((address) => familyOf(address) === family).slice(0, 1);
  switch (families) {
    case 'first':
      return addresses.slice(0, 1);
    case 'ipv4':
    case 'ipv6': {
      const family = families === 'ipv4' ? 4 : 6;
      return of(family).length > 0 ? of(family) : `it has no IPv${family} address`;
    }
    case 'dual':
      return [...of(4), ...of(6)];
    case 'both': {
      const missing = ([4, 6] as const).find((family) => of(family).length === 0);
      return missing === undefined
        ? [...of(4), ...of(6)]
        : `it has no IPv${missing} address and ipFamilyPolicy is RequireDualStack`;
    }
  }
}

const useless = new Set(['unspecified', 'broadcast', 'multicast', 'loopback', 'linkLocal']);

function isUsable(address: Ip): boolean {
  return !useless.has(ipaddr.parse(address).range());
}
