import { append } from '../../lib/append.ts';
import type { Timer } from '../../lib/clock.ts';
import type { Ip } from '../../lib/ip.ts';
import type { AddressKey } from '../../linux/types.ts';
import { addressId } from '../observed.ts';
import type { SpecKey, WantedAddress } from '../spec-book.ts';
import type { AddressSpec, LastAction } from '../types.ts';
import type { AddressState } from './plan.ts';

/** What the reconciler remembers of one VIP on one link, from the first wish until nothing of it is left. */
export interface AddressRecord {
  readonly key: SpecKey;
  readonly vip: Ip;
  readonly link: string;
  /** For the status, also after the last owner has left. */
  spec: AddressSpec;
  wanted: WantedAddress | undefined;
  placed: readonly AddressKey[];
  state: AddressState;
  /** It was usable when last looked at; becoming usable again is news. */
  ready: boolean;
  /** It was ready and has vanished without our doing. */
  vanished: boolean;
  skipDad: boolean;
  mayMark: boolean;
  failure: AddressFailure | undefined;
  /** The failure that was logged: the same one is not logged again before something succeeded. */
  logged: string | undefined;
  /** Others know that it cannot be put on its link. */
  isHeld: boolean;
  /** Failures in a row, for the back-off. */
  attempts: number;
  retry: Timer | undefined;
  /** Renews a limited lifetime. */
  refresh: Timer | undefined;
  readonly repairs: RepairBudget;
  last: LastAction | undefined;
  warnedForeign: boolean;
}

export interface AddressFailure {
  readonly reason: string;
  /** Monotonic milliseconds; undefined: at the next dump, or when something changes. */
  readonly retryAt: number | undefined;
}

const repairBurst = 50;
const repairsPerSecond = 20;

/**
 * How often a VIP may be put back: at once when somebody removes it now and then, but not in a loop
 * as fast as the kernel allows against a program that removes it each time.
 */
export class RepairBudget {
  private tokens = repairBurst;
  private since = 0;

  /** 0 when a repair may happen now, else the milliseconds to wait. */
  take(now: number): number {
    this.tokens = Math.min(repairBurst, this.tokens + ((now - this.since) / 1000) * repairsPerSecond);
    this.since = now;
    if (this.tokens < 1) return ((1 - this.tokens) / repairsPerSecond) * 1000;
    this.tokens -= 1;
    return 0;
  }
}

export function newRecord(key: SpecKey, spec: AddressSpec): AddressRecord {
  return {
    key,
    vip: spec.vip,
    link: spec.link,
    spec,
    wanted: undefined,
    placed: [],
    state: { kind: 'unwanted' },
    ready: false,
    vanished: false,
    skipDad: false,
    mayMark: true,
    failure: undefined,
    logged: undefined,
    isHeld: false,
    attempts: 0,
    retry: undefined,
    refresh: undefined,
    repairs: new RepairBudget(),
    last: undefined,
    warnedForeign: false,
  };
}

/** Fields for the log. */
export function naming({ vip, link }: AddressRecord): { readonly vip: Ip; readonly link: string } {
  return { vip, link };
}

export function hasPlaced(record: AddressRecord, key: AddressKey): boolean {
  const id = addressId(key);
  return record.placed.some((placed) => addressId(placed) === id);
}

export function addPlaced(record: AddressRecord, key: AddressKey): void {
  if (record.placed.length > 0) dropPlaced(record, key);
  const { ifindex, address, prefixLength } = key;
  record.placed = append(record.placed, { ifindex, address, prefixLength });
}

export function dropPlaced(record: AddressRecord, key: AddressKey): void {
  const id = addressId(key);
  record.placed = record.placed.filter((placed) => addressId(placed) !== id);
}
