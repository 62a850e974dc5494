import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Entry } from './catalogue.ts';
import type { Conflict } from './conflicts.ts';
import type { Withhold } from './decide.ts';
import { sourceRanges } from './guard.ts';
import { missingParts } from './missing.ts';
import {
  annotation,
  type LeaseKey,
  type PlacementConfig,
  type Service,
  type ServiceKey,
  type ServiceNotice,
  type ServicesObserver,
  type WithholdReason,
} from './types.ts';

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

/** What may pass by itself is told when it has lasted this long: a controller may be at work. */
const patienceMs = 30_000;

/** Verdicts that say nothing about what else may be wrong with the Service. */
const inconclusive = new Set<WithholdReason>([
  'no-address',
  'resolving',
  'no-endpoints',
  'no-local-endpoint',
  'class-mismatch',
  'settling',
  'leaving',
]);

interface Waiting {
  readonly since: number;
  readonly entry: Entry;
  readonly notice: ServiceNotice;
}

export interface NoticesOptions {
  /** `enable_service_security` */
  readonly guarded: boolean;
  readonly globalLease: LeaseKey;
  readonly reach: PlacementConfig['reach'];
}

/** Tells users what they must know about their Services: each thing once, and again when it was well in between. */
export class Notices {
  private readonly clock: Clock;
  private readonly observer: ServicesObserver;
  private readonly options: NoticesOptions;
  private readonly mayTell: () => boolean;
  private readonly told = new Map<ServiceKey, Set<string>>();
  /** Services with something that may pass by itself, the one that waits longest first. */
  private readonly waiting = new Map<ServiceKey, Waiting>();
  /** There was something to tell about these while it was another node's turn to speak. */
  private readonly untold = new Set<ServiceKey>();
  /** What there was to tell since the last verdict. */
  private stated = new Set<string>();
  private timer: Timer | undefined;

  /** `mayTell`: this node is the one that speaks of what all see. */
  constructor(clock: Clock, observer: ServicesObserver, options: NoticesOptions, mayTell: () => boolean) {
    this.clock = clock;
    this.observer = observer;
    this.options = options;
    this.mayTell = mayTell;
  }

  /**
   * All has been said about the Service as it is now: what was told before, and not said again, may come again.
   * `why` it is withheld, if it is.
   */
  judged(key: ServiceKey, why: WithholdReason | undefined): void {
    const { stated } = this;
    if (stated.size > 0) this.stated = new Set();
    const told = this.told.get(key);
    if (told === undefined || (why !== undefined && inconclusive.has(why))) return;
    for (const text of told) if (!stated.has(text)) told.delete(text);
    if (told.size === 0) this.told.delete(key);
  }

  withheld(entry: Entry, why: Withhold): void {
    const { reason, message } = why;
    const lasting = this.ifItLasts(entry, why);
    if (lasting !== undefined) {
      const since = this.waiting.get(entry.key)?.since ?? this.clock.now();
      this.waiting.set(entry.key, { since, entry, notice: lasting });
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
    if (!this.options.guarded) return;
    for (const text of sourceRanges(service).invalid) {
      const message = `spec.loadBalancerSourceRanges: ${text} is no CIDR: nobody is let in by it`;
      this.tell(entry, { type: 'Warning', reason: 'InvalidSourceRange', message });
    }
  }

  /** It shares an address with a Service that wants something else. */
  disagreement(entry: Entry, { reason, message }: Conflict): void {
    if (reason !== 'SecurityConflict' || this.options.guarded)
      this.tell(entry, { type: 'Warning', reason, message });
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

  /** The Services to be looked at again because this node may speak now; none as long as it may not. */
  takeUntold(): readonly ServiceKey[] {
    if (this.untold.size === 0 || !this.mayTell()) return [];
    const keys = [...this.untold];
    this.untold.clear();
    return keys;
  }

  forget(key: ServiceKey): void {
    this.told.delete(key);
    this.untold.delete(key);
    this.waiting.delete(key);
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** What is told when the Service has been withheld for this reason for a while. */
  private ifItLasts({ claim, service }: Entry, why: Withhold): ServiceNotice | undefined {
    const { reason, message } = why;
    const seconds = `${patienceMs / 1000} s`;
    const type = 'Warning';
    if (reason === 'no-address') {
      const isEmpty = service.metadata.annotations?.[annotation.addresses] !== undefined;
      const text = isEmpty
        ? `${message}, and nothing else is looked at while it is there: remove it, or let it name an address`
        : `no address for ${seconds}: is a controller running that assigns one?`;
      return { type, reason: 'NoAddress', message: text };
    }
    if (reason === 'class-mismatch' && (service.status?.loadBalancer?.ingress ?? []).length === 0) {
      const text = `spec.loadBalancerClass: ${message}, and nobody else has served it for ${seconds}`;
      return { type, reason: 'ClassMismatch', message: text };
    }
    const { globalLease, reach } = this.options;
    const isStuck = claim.kind === 'claim' && claim.lease === globalLease && reach === 'layer2';
    if (reason !== 'no-local-endpoint' || why.servesElsewhere !== true || !isStuck) return undefined;
    const text = `spec.externalTrafficPolicy: ${message} for ${seconds}, which holds ${globalLease}; other nodes have one: with svc_election the VIP follows it`;
    return { type, reason: 'NoLocalEndpoint', message: text };
  }

  private tell({ key, service }: Entry, notice: ServiceNotice): void {
    const text = `${notice.reason} ${notice.message}`;
    this.stated.add(text);
    const told = this.told.get(key);
    if (told?.has(text) === true) return;
    if (!this.mayTell()) {
      this.untold.add(key);
      return;
    }
    if (told === undefined) this.told.set(key, new Set([text]));
    else told.add(text);
    this.observer.notice?.(service, notice);
  }

  private arm(): void {
    const [first] = this.waiting.values();
    if (first === undefined || this.timer !== undefined) return;
    const ms = Math.max(0, first.since + patienceMs - this.clock.now());
    this.timer = this.clock.after('services-notices', ms, () => {
      this.timer = undefined;
      this.overdue();
      this.arm();
    });
  }

  private overdue(): void {
    const now = this.clock.now();
    for (const [key, { since, entry, notice }] of this.waiting) {
      if (since + patienceMs > now) return;
      this.waiting.delete(key);
      this.tell(entry, notice);
    }
  }
}
