import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Entry } from './catalogue.ts';
import type { Conflict } from './conflicts.ts';
import type { Withhold } from './decide.ts';
import { sourceRanges } from './guard.ts';
import { missingParts } from './missing.ts';
import type { Service, ServiceKey, ServiceNotice, ServicesObserver, WithholdReason } from './types.ts';

/** Reasons a user can do something about. The others are everyday life. */
const worthTelling: Partial<Record<WithholdReason, string>> = {
  'no-address': 'NoAddress',
  'invalid-address': 'InvalidAddress',
  unresolved: 'NameNotResolved',
  'lease-policy': 'InvalidLeasePolicy',
  'invalid-lease': 'InvalidLeaseName',
  'not-implemented': 'NotImplemented',
  'no-link': 'NoLink',
  'address-in-use': 'AddressInUse',
};

/** A Service without address is new for this long: its controller may be at work. */
const patienceMs = 30_000;

/** Tells users what they must know about their Services: each thing once, until it has changed. */
export class Notices {
  private readonly clock: Clock;
  private readonly observer: ServicesObserver;
  private readonly guarded: boolean;
  private readonly mayTell: () => boolean;
  private readonly told = new Map<ServiceKey, Set<string>>();
  /** Services without an address, the one that waits longest first. */
  private readonly waiting = new Map<ServiceKey, { readonly since: number; readonly entry: Entry }>();
  private timer: Timer | undefined;

  /** `guarded`: `enable_service_security`. `mayTell`: this node is the one that speaks of what all see. */
  constructor(clock: Clock, observer: ServicesObserver, guarded: boolean, mayTell: () => boolean) {
    this.clock = clock;
    this.observer = observer;
    this.guarded = guarded;
    this.mayTell = mayTell;
  }

  withheld(entry: Entry, { reason, message }: Withhold): void {
    if (reason === 'no-address') {
      if (!this.waiting.has(entry.key)) this.waiting.set(entry.key, { since: this.clock.now(), entry });
      this.arm();
      return;
    }
    this.waiting.delete(entry.key);
    const word = worthTelling[reason];
    if (word !== undefined) this.tell(entry, { type: 'Warning', reason: word, message });
  }

  /** Nothing stands in its way; it may still ask for things that do not exist. */
  advertisable(entry: Entry): void {
    this.waiting.delete(entry.key);
    const { claim, service } = entry;
    if (claim.kind !== 'claim') return;
    for (const { message } of missingParts(service, claim.addresses)) {
      this.tell(entry, { type: 'Warning', reason: 'NotImplemented', message });
    }
    for (const { reason, message } of claim.troubles) {
      this.tell(entry, { type: 'Warning', reason: worthTelling[reason] ?? reason, message });
    }
    if (!this.guarded) return;
    for (const text of sourceRanges(service).invalid) {
      const message = `spec.loadBalancerSourceRanges: ${text} is no CIDR: nobody is let in by it`;
      this.tell(entry, { type: 'Warning', reason: 'InvalidSourceRange', message });
    }
  }

  /** It shares an address with a Service that wants something else. */
  disagreement(entry: Entry, { reason, message }: Conflict): void {
    if (reason !== 'SecurityConflict' || this.guarded) this.tell(entry, { type: 'Warning', reason, message });
  }

  /** Its rules are not in the kernel, so it is not on the network. */
  heldBack(entry: Entry, vip: Ip, problem: string): void {
    const message = `enable_service_security: ${vip} is withheld until its rules can be written: ${problem}`;
    this.tell(entry, { type: 'Warning', reason: 'NotProtected', message });
  }

  conflict(service: Service, vip: Ip, link: string, mac: string): void {
    const message = `${mac} on ${link} claims ${vip} too: two machines use the same address`;
    this.observer.notice?.(service, { type: 'Warning', reason: 'AddressConflict', message });
  }

  forget(key: ServiceKey): void {
    this.told.delete(key);
    this.waiting.delete(key);
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private tell({ key, service }: Entry, notice: ServiceNotice): void {
    const text = `${notice.reason} ${notice.message}`;
    const told = this.told.get(key);
    if (told?.has(text) === true || !this.mayTell()) return;
    if (told === undefined) this.told.set(key, new Set([text]));
    else told.add(text);
    this.observer.notice?.(service, notice);
  }

  private arm(): void {
    const [first] = this.waiting.values();
    if (first === undefined || this.timer !== undefined) return;
    const ms = Math.max(0, first.since + patienceMs - this.clock.now());
    this.timer = this.clock.after('services-no-address', ms, () => {
      this.timer = undefined;
      this.overdue();
      this.arm();
    });
  }

  private overdue(): void {
    const now = this.clock.now();
    for (const [key, { since, entry }] of this.waiting) {
      if (since + patienceMs > now) return;
      this.waiting.delete(key);
      const message = `no address for ${patienceMs / 1000} s: is a controller running that assigns one?`;
      this.tell(entry, { type: 'Warning', reason: 'NoAddress', message });
    }
  }
}
