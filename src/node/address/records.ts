import { append } from '../../lib/append.ts';
import type { Ip } from '../../lib/ip.ts';
import type { SpecKey } from '../spec-book.ts';
import type { AddressSpec } from '../types.ts';
import { newRecord, type AddressRecord } from './record.ts';

const none: readonly AddressRecord[] = [];

/** The records by key, by VIP and by link name. */
export class AddressRecords {
  private readonly byKey = new Map<SpecKey, AddressRecord>();
  /** Hardly ever more than one for each: a list is smaller than a set. */
  private readonly byVip = new Map<Ip, readonly AddressRecord[]>();
  private readonly byLink = new Map<string, Set<AddressRecord>>();

  get(key: SpecKey): AddressRecord | undefined {
    return this.byKey.get(key);
  }

  all(): readonly AddressRecord[] {
    return [...this.byKey.values()];
  }

  ofVip(vip: Ip): readonly AddressRecord[] {
    return this.byVip.get(vip) ?? none;
  }

  ofLink(name: string): readonly AddressRecord[] {
    return [...(this.byLink.get(name) ?? [])];
  }

  enter(key: SpecKey, spec: AddressSpec): AddressRecord {
    const record = newRecord(key, spec);
    this.byKey.set(key, record);
    this.byVip.set(record.vip, append(this.byVip.get(record.vip), record));
    const beside = this.byLink.get(record.link);
    if (beside === undefined) this.byLink.set(record.link, new Set([record]));
    else beside.add(record);
    return record;
  }

  leave(record: AddressRecord): void {
    record.retry?.cancel();
    record.refresh?.cancel();
    if (this.byKey.get(record.key) !== record) return;
    this.byKey.delete(record.key);
    const others = this.ofVip(record.vip).filter((other) => other !== record);
    if (others.length === 0) this.byVip.delete(record.vip);
    else this.byVip.set(record.vip, others);
    const beside = this.byLink.get(record.link);
    beside?.delete(record);
    if (beside?.size === 0) this.byLink.delete(record.link);
  }
}
