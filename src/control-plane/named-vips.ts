import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import { Names, pickAddresses, type NameFamilies, type ResolveName } from '../lib/names.ts';
import type { PlaneVip } from './types.ts';

export interface NamedVipsParts {
  readonly resolve: ResolveName;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NamedVipsOptions {
  /** The VIPs that are given as addresses. */
  readonly fixed: readonly PlaneVip[];
  readonly names: readonly string[];
  readonly families: NameFamilies;
  readonly prefixLength: (vip: Ip) => number;
}

/** A VIP that its name has no longer serves those who still have it from DNS, for this long: it is gone within a minute. */
const LINGER_MS = 50_000;
/** So many at a time, of all names; the oldest go before their time. */
const MAX_LINGERING = 8;

/** What a name has for VIPs, or why it has none; undefined: there is no answer yet. */
type Picked = readonly Ip[] | { readonly problem: string } | undefined;

/**
 * The control-plane VIPs of now: those that were given as addresses, those that the names have, from DNS or from DHCP,
 * and for a while those that they had in DNS. A name that has no address any more, or cannot be resolved, keeps its last ones.
 */
export class NamedVips {
  private readonly parts: NamedVipsParts;
  private readonly options: NamedVipsOptions;
  private readonly names: Names<string>;
  private readonly picked = new Map<string, Picked>();
  private readonly leased = new Map<string, Ip>();
  private readonly lingering = new Map<Ip, Timer>();
  private readonly listeners = new Set<() => void>();

  constructor(parts: NamedVipsParts, options: NamedVipsOptions) {
    this.parts = parts;
    this.options = options;
    this.names = new Names({
      ...parts,
      changed: (names) => {
        for (const name of names) this.look(name);
      },
    });
  }

  /** In the order of the settings, each once; those whose name has left them come last. */
  now(): readonly PlaneVip[] {
    const { fixed, prefixLength } = this.options;
    const known = new Set(fixed.map(({ vip }) => vip));
    const named = [...this.current(), ...this.lingering.keys()].filter((vip) => !known.has(vip));
    return [
      ...fixed,
      ...[...new Set(named)].map((vip) => ({ vip, prefixLength: prefixLength(vip), isNamed: true })),
    ];
  }

  /** Told in the turn in which `now` has changed, until the returned function is called. */
  follow(tell: () => void): () => void {
    this.listeners.add(tell);
    return () => this.listeners.delete(tell);
  }

  /** Asks for the names from now on. */
  start(): void {
    for (const name of this.options.names) this.names.want(name, [name]);
  }

  /** What DHCP gave to a host name; undefined: nothing any more. Such an address does not linger: it may be another's. */
  setLeased(hostName: string, vip: Ip | undefined): void {
    if (vip === undefined) this.leased.delete(hostName);
    else this.leased.set(hostName, vip);
    this.tell();
  }

  /** Names without a VIP, and why; undefined: nobody has answered yet. */
  missing(): readonly { readonly name: string; readonly problem: string | undefined }[] {
    return this.options.names
      .map((name) => ({ name, picked: this.picked.get(name) }))
      .filter(({ picked }) => picked === undefined || 'problem' in picked)
      .map(({ name, picked }) => ({
        name,
        problem: picked !== undefined && 'problem' in picked ? picked.problem : undefined,
      }));
  }

  close(): void {
    this.names.close();
    this.listeners.clear();
    for (const timer of this.lingering.values()) timer.cancel();
    this.lingering.clear();
  }

  private current(): readonly Ip[] {
    const picked = [...this.picked.values()].flatMap((each) =>
      each === undefined || 'problem' in each ? [] : each,
    );
    return [...this.leased.values(), ...picked];
  }

  private look(name: string): void {
    const answer = this.names.answerOf(name);
    if (answer === undefined) return;
    const found =
      'problem' in answer ? answer.problem : pickAddresses(answer.addresses, this.options.families);
    const before = this.picked.get(name);
    const had = before === undefined || 'problem' in before ? [] : before;
    if (typeof found === 'string') {
      if (had.length === 0) this.picked.set(name, { problem: found });
      else
        this.parts.log.warn('a name has no address for a VIP any more; its last ones stay', {
          name,
          error: found,
        });
    } else this.picked.set(name, found);
    const now = this.current();
    for (const vip of now) this.letGo(vip);
    for (const vip of had) if (!now.includes(vip)) this.linger(vip);
    if (had.length > 0 && typeof found !== 'string' && found.join() !== had.join()) {
      const fields = { name, before: had.join(','), vip: found.join(',') };
      this.parts.log.info('the name of the control-plane VIP has another address', fields);
    }
    this.tell();
  }

  private linger(vip: Ip): void {
    const [oldest] = this.lingering.keys();
    if (this.lingering.size >= MAX_LINGERING && oldest !== undefined) this.letGo(oldest);
    const timer = this.parts.clock.after('former-vip', LINGER_MS, () => {
      this.lingering.delete(vip);
      this.tell();
    });
    this.lingering.set(vip, timer);
  }

  private letGo(vip: Ip): void {
    this.lingering.get(vip)?.cancel();
    this.lingering.delete(vip);
  }

  private tell(): void {
    for (const each of this.listeners) each();
  }
}
