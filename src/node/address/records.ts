import type { Ip } from '../../lib/ip.ts';
import type { SpecKey } from '../spec-book.ts';
import type { AddressSpec } from '../types.ts';
import { newRecord, type AddressRecord } from './record.ts';

/** The records by key, by VIP and by link name. */
export class AddressRecords {
  private readonly byKey = new Map<SpecKey, AddressRecord>();
  private readonly byVip = new Map<Ip, Set<AddressRecord>>();
  private readonly byLink = new Map<string, Set<AddressRecord>>();

  get(key: SpecKey): AddressRecord | undefined {
    return this.byKey.get(key);
  }

  all(): readonly AddressRecord[] {
    return [...this.byKey.values()];
  }

  ofVip(vip: Ip): readonly AddressRecord[] {
    return [...(this.byVip.get(vip) ?? [])];
  }

  ofLink(name: string): readonly AddressRecord[] {
    return [...(this.byLink.get(name) ?? [])];
  }

  enter(key: SpecKey, spec: AddressSpec): AddressRecord {
    const record = newRecord(key, spec);
    this.byKey.set(key, record);
    join(this.byVip, record.vip, record);
    join(this.byLink, record.link, record);
    return record;
  }

  leave(record: AddressRecord): void {
    record.retry?.cancel();
    record.refresh?.cancel();
    if (this.byKey.get(record.key) !== record) return;
    this.byKey.delete(record.key);
    part(this.byVip, record.vip, record);
    part(this.byLink, record.link, record);
  }
}

function join<K>(index: Map<K, Set<AddressRecord>>, key: K, record: AddressRecord): void {
  const found = index.get(key);
  if (found === undefined) index.set(key, new Set([record]));
  else found.add(record);
}

function part<K>(index: Map<K, Set<AddressRecord>>, key: K, record: AddressRecord): void {
  const found = index.get(key);
  found?.delete(record);
  if (found?.size === 0) index.delete(key);
}
