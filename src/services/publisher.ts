import type { Clock } from '../lib/clock.ts';
import type { Fence } from '../lib/fence.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import type { BulkNodeStore, Owner, Spec, Wish } from '../node/types.ts';
import { holderSpecs, preservedSpecs, type Place, type Ports } from './placement.ts';
import type { LeaseKey, PlacementConfig, ServiceKey } from './types.ts';
import { Withdrawals } from './withdrawals.ts';

/** The VIPs of a Service as this node has them. */
export interface Published {
  readonly lease: LeaseKey;
  readonly fence: Fence;
  readonly places: readonly Place[];
  readonly ports: Ports;
  /** Preserved after the loss of the lease: not announced. */
  readonly silent: boolean;
}

export interface PublisherParts {
  readonly node: Pick<BulkNodeStore, 'publishAll'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** The Service has specs from now on, or has none any more. */
  readonly changed: (key: ServiceKey, isPublished: boolean) => void;
}

/** Specs of so many Services go to the node together; more would be a long stretch for the event loop. */
const batchSize = 128;

/**
 * What of Services is on this node. Every change is in the kernel when the call returns; those of a
 * `batch`, when that returns, and withdrawals of very many, when `withdrawn` says so.
 */
export class Publisher {
  private readonly parts: PublisherParts;
  private readonly config: PlacementConfig;
  private readonly content = new Map<ServiceKey, Published>();
  private pending: Wish[] = [];
  private isBatching = false;
  private readonly leaving: Withdrawals;
  /** Those that fall silent: their fence has fallen, so they have said nothing since. */
  private readonly silencing: Withdrawals;
  /** Why those are leaving that wait for it. */
  private readonly reasons = new Map<ServiceKey, string>();

  constructor(parts: PublisherParts, config: PlacementConfig) {
    this.parts = parts;
    this.config = config;
    this.leaving = new Withdrawals(parts.clock, (keys) => {
      this.remove(keys);
    });
    this.silencing = new Withdrawals(parts.clock, (keys) => {
      this.batch(() => {
        for (const key of keys) this.silence(key);
      });
    });
  }

  /** What is leaving is as good as gone, and what is about to fall silent is. */
  get(key: ServiceKey): Published | undefined {
    if (this.leaving.has(key)) return undefined;
    const published = this.content.get(key);
    return published !== undefined && this.silencing.has(key) ? silent(published) : published;
  }

  keys(): readonly ServiceKey[] {
    return [...this.content.keys()];
  }

  /** Many changes take the kernel less time together. Withdrawals never wait. */
  batch(change: () => void): void {
    if (this.isBatching) {
      change();
      return;
    }
    this.isBatching = true;
    try {
      change();
    } finally {
      this.isBatching = false;
      this.flush();
    }
  }

  publish(key: ServiceKey, wanted: Pick<Published, 'lease' | 'places' | 'ports' | 'fence'>): void {
    const { lease, places, ports, fence } = wanted;
    const before = this.get(key);
    this.leaving.drop(key);
    this.silencing.drop(key);
    this.reasons.delete(key);
    if (before?.fence === fence && !before.silent && isSame(before, wanted)) return;
    this.wish({ owner: ownerOf(key), specs: holderSpecs(places, this.config, fence, ports) });
    this.content.set(key, { lease, fence, places, ports, silent: false });
    if (before !== undefined) return;
    this.parts.changed(key, true);
    this.parts.log.info('this node advertises the Service', { service: key, vip: namesOf(places), lease });
  }

  /** What is published without tenure of the Service's own lease may shrink, never grow. */
  restrict(key: ServiceKey, before: Published, vips: ReadonlySet<Ip>): void {
    const places = before.places.filter(({ vip }) => vips.has(vip));
    if (places.length === before.places.length) return;
    if (places.length === 0) {
      this.withdraw(key);
      return;
    }
    this.silencing.drop(key);
    const { silent: isSilent, fence, ports } = before;
    const specs = isSilent
      ? preservedSpecs(places, this.config, ports)
      : holderSpecs(places, this.config, fence, ports);
    this.wish({ owner: ownerOf(key), specs });
    this.content.set(key, { ...before, places });
  }

  /**
   * `vip_preserve_on_leadership_loss`: the IPv4 addresses stay, without a word. IPv6 ones go at once; of very many
   * the rest when `withdrawn` says so.
   */
  silenceAll(keys: readonly ServiceKey[], reason: string): void {
    const leaving: ServiceKey[] = [];
    const staying: ServiceKey[] = [];
    for (const key of keys) {
      if (this.get(key) === undefined) continue;
      if (this.preserved(key).length > 0) staying.push(key);
      else leaving.push(key);
    }
    this.withdrawAll(leaving, reason);
    if (staying.length > 0) this.silencing.add(staying);
  }

  private silence(key: ServiceKey): void {
    const before = this.content.get(key);
    if (before === undefined) return;
    this.wish({ owner: ownerOf(key), specs: this.preserved(key) });
    this.content.set(key, silent(before));
  }

  private preserved(key: ServiceKey): readonly Spec[] {
    const { places = [], ports } = this.content.get(key) ?? {};
    return preservedSpecs(places, this.config, ports);
  }

  withdraw(key: ServiceKey): void {
    this.leaving.drop(key);
    this.remove([key]);
  }

  /** Those whose turn is not over on return are silent all the same if their fence has fallen. */
  withdrawAll(keys: readonly ServiceKey[], reason?: string): void {
    const present = keys.filter((key) => this.get(key) !== undefined);
    if (reason !== undefined) for (const key of present) this.reasons.set(key, reason);
    for (const key of present) this.silencing.drop(key);
    if (present.length > 0) this.leaving.add(present);
  }

  /** Of very many that are to leave the node, or to fall silent, some wait for their turn. */
  isWithdrawing(): boolean {
    return this.leaving.ended() !== undefined || this.silencing.ended() !== undefined;
  }

  /** Resolves when everything is off the node that was withdrawn, or not preserved; undefined: it is. */
  withdrawn(): Promise<void> | undefined {
    const [one, other] = [this.leaving.ended(), this.silencing.ended()];
    return one === undefined || other === undefined
      ? (one ?? other)
      : Promise.all([one, other]).then(() => undefined);
  }

  /** Everything that was withdrawn is off the node on return, however long that takes. */
  finish(): void {
    this.leaving.finish();
    this.silencing.finish();
  }

  /** The VIPs first: nothing may stand between this call and the addresses leaving the link. */
  private remove(keys: readonly ServiceKey[]): void {
    const present = keys.filter((key) => this.content.has(key));
    if (present.length === 0) return;
    this.pending.push(...present.map((key) => ({ owner: ownerOf(key), specs: [] })));
    this.flush();
    for (const key of present) {
      this.silencing.drop(key);
      const { places = [], lease } = this.content.get(key) ?? {};
      const reason = this.reasons.get(key);
      this.content.delete(key);
      this.reasons.delete(key);
      this.parts.changed(key, false);
      const fields = { service: key, vip: namesOf(places), lease };
      const why = reason === undefined ? {} : { reason };
      this.parts.log.info('this node ceased to advertise the Service', { ...fields, ...why });
    }
  }

  private wish(wish: Wish): void {
    this.pending.push(wish);
    if (!this.isBatching || this.pending.length >= batchSize) this.flush();
  }

  private flush(): void {
    const wishes = this.pending;
    this.pending = [];
    if (wishes.length > 0) this.parts.node.publishAll(wishes);
  }
}

function silent(before: Published): Published {
  return { ...before, silent: true };
}

/** The same specs come of both. */
function isSame(
  one: Pick<Published, 'places' | 'ports'>,
  other: Pick<Published, 'places' | 'ports'>,
): boolean {
  if (one.places.length !== other.places.length) return false;
  const arePlaces = one.places.every((place, i) => {
    const beside = other.places[i];
    return beside !== undefined && isSamePlace(place, beside);
  });
  return arePlaces && JSON.stringify(one.ports) === JSON.stringify(other.ports);
}

function isSamePlace(one: Place, other: Place): boolean {
  return (
    one.vip === other.vip &&
    one.link === other.link &&
    one.prefixLength === other.prefixLength &&
    (one.fromName ?? false) === (other.fromName ?? false)
  );
}

function ownerOf(key: ServiceKey): Owner {
  return `service/${key}` as Owner;
}

function namesOf(places: readonly Place[]): string {
  if (places.length === 1) return places[0]?.vip ?? '';
  return places.map(({ vip }) => vip).join();
}
