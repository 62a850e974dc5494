import type { Clock, Timer } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Holding } from '../node/types.ts';
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
  /** Undefined: it passed, for now. */
  readonly notice: () => ServiceNotice | undefined;
  /** What this node alone knows is for nobody else to tell. */
  readonly isOurs: boolean;
}

/** Who decides, as far as this node knows. */
export interface LeasesView {
  /** The lease that decides about a Service, that of the first one with whom it shares an address. */
  decides(entry: Entry): LeaseKey | undefined;
  /** Whom the record of a lease names for which this node campaigns. */
  holderOf(lease: LeaseKey): string | undefined;
}

export interface NoticesOptions {
  /** `enable_service_security` */
  readonly guarded: boolean;
  readonly globalLease: LeaseKey;
  readonly reach: PlacementConfig['reach'];
  /** Lower-cased name of this node. */
  readonly node: string;
  /** `disable_service_updates` is off. */
  readonly writeStatus: boolean;
}

/** Tells users what they must know about their Services: each thing once, and again when it was well in between. */
export class Notices {
  private readonly clock: Clock;
  private readonly observer: ServicesObserver;
  private readonly options: NoticesOptions;
  private readonly leases: LeasesView;
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
  constructor(
    clock: Clock,
    observer: ServicesObserver,
    options: NoticesOptions,
    leases: LeasesView,
    mayTell: () => boolean,
  ) {
    this.leases = leases;
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
      this.wait(entry, lasting);
      return;
    }
    this.waiting.delete(entry.key);
    const word = worthTelling[reason];
    if (word !== undefined) this.tell(entry, { type: 'Warning', reason: word, message });
  }

  /** Nothing stands in its way; it may still ask for things that do not exist. */
  advertisable(entry: Entry): void {
    const { claim, service } = entry;
    if (claim.kind !== 'claim') return;
    this.watchHolder(entry, claim.lease);
    for (const { message } of missingParts(service, claim.addresses)) {
      this.tell(entry, { type: 'Warning', reason: 'NotImplemented', message });
    }
    for (const { reason, message } of claim.troubles) {
      this.tell(entry, { type: 'Warning', reason: worthTelling[reason] ?? reason, message });
    }
    if (!this.options.guarded) return;
    for (const message of sourceRanges(service).invalid) {
      this.tell(entry, { type: 'Warning', reason: 'InvalidSourceRange', message });
    }
  }

  /** It shares an address with a Service that wants something else. */
  disagreement(entry: Entry, { reason, message }: Conflict): void {
    if (reason !== 'SecurityConflict' || this.options.guarded)
      this.tell(entry, { type: 'Warning', reason, message });
  }

  /** This node should have it, and it is not on the network. */
  heldBack(entry: Entry, vip: Ip, by: Holding, problem: string): void {
    const message =
      by === 'rules'
        ? `enable_service_security: ${vip} is withheld until its rules can be written: ${problem}`
        : `${vip} cannot be put on its link on ${this.options.node}: ${problem}`;
    this.tell(entry, { type: 'Warning', reason: by === 'rules' ? 'NotProtected' : 'NotOnLink', message });
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

  /**
   * A lease that a Service asked for by name may be another's: of the control plane, of a Service that only some nodes
   * serve, of a program that is not this one. Its holder says so in the Service when it serves it.
   */
  private watchHolder(entry: Entry, lease: LeaseKey): void {
    const { key, service } = entry;
    const { node, reach, writeStatus } = this.options;
    const { [annotation.leaseName]: asked = '', [annotation.vipHost]: host } =
      service.metadata.annotations ?? {};
    if (asked === '' || !writeStatus || reach === 'route' || this.leases.decides(entry) !== lease) {
      this.waiting.delete(key);
      return;
    }
    const idleHolder = (): string | undefined => {
      const holder = this.leases.holderOf(lease) ?? '';
      return holder === '' || holder === node || holder === host ? undefined : holder;
    };
    const noticeOf = (holder: string): ServiceNotice => {
      const text = `${annotation.leaseName}: lease ${lease} is held by ${holder}, which has not said that it serves this Service`;
      const message = `${text}: name a lease that is held for Services, leave the annotation away, or turn disable_service_updates off on that node`;
      return { type: 'Warning', reason: 'LeaseHeldElsewhere', message };
    };
    const now = idleHolder();
    if (now !== undefined) this.stated.add(textOf(noticeOf(now)));
    const lasting = whenSameTwice(idleHolder);
    this.wait(entry, {
      notice: () => {
        const holder = lasting();
        return holder === undefined ? undefined : noticeOf(holder);
      },
      isOurs: false,
    });
  }

  /** What is told when the Service has been withheld for this reason for a while. */
  private ifItLasts(entry: Entry, why: Withhold): Pick<Waiting, 'notice' | 'isOurs'> | undefined {
    const text = this.lastingText(entry, why);
    if (text !== undefined) return { notice: () => text, isOurs: false };
    if (why.reason !== 'no-local-endpoint' || why.servesElsewhere !== true) return undefined;
    const { globalLease, node, reach } = this.options;
    const lease = this.leases.decides(entry);
    if (lease === undefined || lease === globalLease || reach === 'route') return undefined;
    const message = `spec.externalTrafficPolicy: ${why.message}, which holds ${lease} for another Service; other nodes have one: with an address and a lease of its own the VIP follows it`;
    const stuck: ServiceNotice = { type: 'Warning', reason: 'NoLocalEndpoint', message };
    return {
      notice: whenSameTwice(() => (this.leases.holderOf(lease) === node ? stuck : undefined)),
      isOurs: true,
    };
  }

  private lastingText({ claim, service }: Entry, why: Withhold): ServiceNotice | undefined {
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

  private tell({ key, service }: Entry, notice: ServiceNotice, isOurs = false): void {
    const text = textOf(notice);
    this.stated.add(text);
    const told = this.told.get(key);
    if (told?.has(text) === true) return;
    if (!isOurs && !this.mayTell()) {
      this.untold.add(key);
      return;
    }
    if (told === undefined) this.told.set(key, new Set([text]));
    else told.add(text);
    this.observer.notice?.(service, notice);
  }

  private wait(entry: Entry, what: Pick<Waiting, 'notice' | 'isOurs'>): void {
    const since = this.waiting.get(entry.key)?.since ?? this.clock.now();
    this.waiting.set(entry.key, { since, entry, ...what });
    this.arm();
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
    for (const [key, waiting] of this.waiting) {
      if (waiting.since + patienceMs > now) return;
      this.waiting.delete(key);
      const notice = waiting.notice();
      if (notice !== undefined) this.tell(waiting.entry, notice, waiting.isOurs);
      // It may come to that yet.
      else this.waiting.set(key, { ...waiting, since: now });
    }
  }
}

/** A new holder needs a moment: what is found has to be the same twice in a row. */
function whenSameTwice<T>(find: () => T | undefined): () => T | undefined {
  let before: T | undefined;
  return () => {
    const found = find();
    const isSame = found === before;
    before = found;
    return isSame ? found : undefined;
  };
}

function textOf({ reason, message }: ServiceNotice): string {
  return `${reason} ${message}`;
}
