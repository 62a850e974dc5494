import type { KubeObject, NodeObject, ReflectorListener } from '../kube/types.ts';
import type { Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Fence } from '../lib/fence.ts';
import { AddressBook } from './book.ts';
import { changed } from './change.ts';
import { Contests } from './contests.ts';
import type { Verdict } from './decide.ts';
import { splitAddresses } from './node-addresses.ts';
import { ConfigWatch, type ConfigMapObject, type ConfigWatchParts } from './config-watch.ts';
import type { AssignmentStatus, Candidate, IpamOptions, ServiceKey } from './types.ts';
import { UsageMeter } from './usage.ts';
import { ServiceWriter, type Outcome } from './writer.ts';
import { Remarks } from './remarks.ts';

export interface AssignerParts extends ConfigWatchParts {
  /** Optimistic update of a Service; rejects with a KubeError. */
  readonly write: (service: KubeObject, signal: AbortSignal) => Promise<void>;
}

/** A turn decides for this long; what is left follows in the next one. */
const turnMs = 10;
/** As many are woken at once; of more, as many in each millisecond on average. */
const crowd = 100;
const wokenPerMs = 20;
/** Nodes that cannot be listed hold nothing up for longer. */
const nodesGraceMs = 2000;

type Granted = Extract<Verdict, { readonly kind: 'write' }>;

/**
 * Gives Services their addresses for one tenure of the lease. Three watches feed the book; every
 * decision is made on the book alone and claims its addresses there before anything is sent, so two of
 * them never meet. One update brings everything into a Service, on top of the version that was decided on.
 */
export class Assigner {
  private readonly parts: AssignerParts;
  private readonly fence: Fence;
  private readonly book: AddressBook;
  private readonly writer: ServiceWriter;
  private readonly config: ConfigWatch;
  private readonly work = new Set<ServiceKey>();
  /** Refused; looked at again when addresses or pools changed. */
  private readonly waiting = new Set<ServiceKey>();
  private readonly granted = new Map<ServiceKey, Granted>();
  private readonly remarks: Remarks;
  private readonly contests: Contests;
  private readonly usage = new UsageMeter();
  /** Their update is under way and a newer version has arrived meanwhile. */
  private readonly overtaken = new Set<ServiceKey>();
  private readonly synced = { services: false, config: false, nodes: false };
  private readonly timers = new Map<string, Timer>();
  private isClosed = false;

  constructor(parts: AssignerParts, options: IpamOptions, fence: Fence) {
    this.parts = parts;
    this.fence = fence;
    this.book = new AddressBook(options);
    const { write, clock, random } = parts;
    const mayWrite = (): boolean => !this.isClosed && fence.holds();
    this.writer = new ServiceWriter({ write, mayWrite, clock, random }, (outcome) => {
      this.written(outcome);
    });
    this.config = new ConfigWatch(parts, options.configMap, {
      mayWrite,
      changed: (data) => {
        this.book.setConfig(data);
        this.wakeAll();
        this.decideAll();
      },
      listed: () => {
        this.listed('config');
      },
    });
    this.remarks = new Remarks(clock, (key, notice) => {
      const candidate = this.book.get(key);
      if (candidate !== undefined && fence.holds()) parts.observer.notice?.(candidate, notice);
    });
    this.contests = new Contests(clock, random);
    this.book.reserve('the control plane', options.reserved);
    this.arm('ipam-nodes', nodesGraceMs, () => {
      this.listed('nodes');
    });
  }

  readonly servicesListener: ReflectorListener<Candidate> = {
    synced: () => {
      this.listed('services');
    },
    changed: (key, now) => {
      if (this.book.put(now)) this.wake();
      this.work.add(key);
      this.decideAll();
    },
    removed: (key) => {
      this.forget(key);
      if (this.book.remove(key)) this.wake();
      this.decideAll();
    },
  };

  get configListener(): ReflectorListener<ConfigMapObject> {
    return this.config.listener;
  }

  readonly nodesListener: ReflectorListener<NodeObject> = {
    synced: () => {
      this.listed('nodes');
    },
    changed: (name, { status }) => {
      this.reserveNode(name, splitAddresses(status?.addresses ?? []));
    },
    removed: (name) => {
      this.reserveNode(name, splitAddresses([]));
    },
  };

  /** Why nothing is decided yet; undefined when all is known. */
  get waitingFor(): string | undefined {
    const { services, config, nodes } = this.synced;
    const missing = !services ? 'Services' : !config ? 'the ConfigMap' : !nodes ? 'Nodes' : undefined;
    return missing === undefined ? undefined : `${missing} have not been listed yet`;
  }

  status(): AssignmentStatus {
    return {
      pools: this.usage.read(this.book.config, this.book.claims),
      problems: this.config.problems,
      waiting: this.waiting.size,
      writing: this.writer.size,
      waitingFor: this.waitingFor,
    };
  }

  /** Nobody is given an address that a Node lists; who has one of the others keeps it. */
  private reserveNode(name: string, { own, others }: ReturnType<typeof splitAddresses>): void {
    const freed = this.book.reserve(`Node ${name}`, own);
    if (this.book.reserve(`Node ${name}, too`, others, 'wish') || freed) this.wake();
    this.decideAll();
  }

  /** Decides nothing more; resolves when the updates under way have ended. */
  async drain(): Promise<void> {
    this.stop();
    await this.writer.drain();
  }

  /** What is under way is abandoned. */
  close(): void {
    this.stop();
    this.writer.close();
  }

  private stop(): void {
    this.isClosed = true;
    this.remarks.close();
    this.config.close();
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
  }

  private listed(what: keyof typeof this.synced): void {
    if (this.synced[what]) return;
    this.synced[what] = true;
    if (this.isReady()) this.decideInOrder();
  }

  private isReady(): boolean {
    const { services, config, nodes } = this.synced;
    return services && config && nodes && !this.isClosed;
  }

  /** At first the oldest first, so that who comes late goes without. */
  private decideInOrder(): void {
    const age = (key: ServiceKey): string => this.book.get(key)?.metadata.creationTimestamp ?? '';
    const keys = [...this.work].map((key) => ({ key, age: age(key) }));
    keys.sort((a, b) => (a.age === b.age ? compare(a.key, b.key) : compare(a.age, b.age)));
    this.work.clear();
    for (const { key } of keys) this.work.add(key);
    this.decideAll();
  }

  /** A crowd that waits is not looked through for each address that becomes free. */
  private wake(): void {
    if (this.waiting.size <= crowd) this.wakeAll();
    else if (!this.timers.has('ipam-wake')) {
      this.arm('ipam-wake', this.waiting.size / wokenPerMs, () => {
        this.wakeAll();
        this.decideAll();
      });
    }
  }

  private wakeAll(): void {
    for (const key of this.waiting) this.work.add(key);
  }

  private decideAll(): void {
    if (!this.isReady()) return;
    const end = this.parts.clock.now() + turnMs;
    for (const key of this.work) {
      if (!this.fence.holds()) return;
      this.work.delete(key);
      this.decideOne(key);
      if (this.parts.clock.now() > end) break;
    }
    if (this.work.size > 0) {
      this.arm('ipam-work', 0, () => {
        this.decideAll();
      });
    }
  }

  /** A failure with one Service is that Service's alone. */
  private decideOne(key: ServiceKey): void {
    try {
      this.settle(key);
    } catch (error) {
      this.parts.log.error('a Service could not be handled', { service: key, error: messageOf(error) });
    }
  }

  private settle(key: ServiceKey): void {
    const candidate = this.book.get(key);
    if (candidate === undefined) return;
    if (this.writer.isRunning(key)) {
      this.overtaken.add(key);
      return;
    }
    this.abandon(key);
    const verdict = this.book.verdict(candidate);
    if (verdict.kind === 'refuse') {
      this.waiting.add(key);
      if (this.remarks.tell(candidate.key, verdict.notice)) this.parts.observer.refused?.(verdict.reason);
      return;
    }
    this.waiting.delete(key);
    if (verdict.kind === 'write') this.give(candidate, verdict);
    else if (verdict.notice !== undefined) this.remarks.tell(candidate.key, verdict.notice);
    else this.remarks.forget(key);
  }

  private give(candidate: Candidate, verdict: Granted): void {
    const { key, raw } = candidate;
    if (raw === undefined) return;
    this.book.grant(key, verdict.addresses);
    this.granted.set(key, verdict);
    for (const notice of verdict.notices) this.remarks.tell(candidate.key, notice);
    this.writer.put(key, changed(raw, verdict.change), this.pauseBefore(key, verdict));
  }

  /** Who goes is not kept waiting. */
  private pauseBefore(key: ServiceKey, { change }: Granted): number {
    if (change.label !== 'set') return 0;
    const { ms, isNew } = this.contests.pauseBefore(key);
    if (isNew) {
      const message =
        'somebody takes off what is assigned, again and again; it is written less and less often';
      this.remarks.tell(key, { type: 'Warning', reason: 'AddressTakenOff', message });
    }
    return ms;
  }

  private written({ key, failure, retryMs }: Outcome): void {
    const verdict = this.granted.get(key);
    const candidate = this.book.get(key);
    if (failure === undefined) {
      this.granted.delete(key);
      if (verdict?.change.label === 'set') this.contests.wrote(key);
      else this.contests.forget(key); // what is not there any more we took off ourselves
      if (candidate !== undefined && verdict?.success !== undefined)
        this.assigned(candidate, verdict.success);
    } else this.notWritten(candidate, failure, retryMs);
    if (this.overtaken.delete(key)) {
      this.work.add(key);
      this.decideAll();
    }
  }

  private assigned(candidate: Candidate, what: string): void {
    const { log, observer } = this.parts;
    log.info('address assigned', { service: candidate.key, addresses: what });
    this.remarks.forget(candidate.key);
    observer.assigned?.(candidate.key);
    observer.notice?.(candidate, {
      type: 'Normal',
      reason: 'EnsuredLoadBalancer',
      message: `assigned ${what}`,
    });
  }

  private notWritten(
    candidate: Candidate | undefined,
    { kind = 'garbage', error }: NonNullable<Outcome['failure']>,
    retryMs: number | undefined,
  ): void {
    this.parts.observer.writeFailed?.(kind);
    // A newer version is on its way, and may well be our own: an earlier try whose answer was lost.
    if (kind === 'conflict') return;
    if (retryMs === undefined || candidate === undefined) return;
    const message = `its address could not be written: ${messageOf(error)}`;
    this.remarks.tell(candidate.key, { type: 'Warning', reason: 'AddressNotWritten', message });
  }

  /** A newer version is there, or it is gone: what was decided on the old one is void. */
  private abandon(key: ServiceKey): void {
    this.writer.drop(key);
    this.granted.delete(key);
    if (this.book.dropGrant(key)) this.wake();
  }

  private forget(key: ServiceKey): void {
    this.abandon(key);
    this.overtaken.delete(key);
    this.work.delete(key);
    this.waiting.delete(key);
    this.remarks.forget(key);
    this.contests.forget(key);
  }

  private arm(name: string, ms: number, act: () => void): void {
    if (this.isClosed) return;
    this.timers.get(name)?.cancel();
    const timer = this.parts.clock.after(name, ms, () => {
      this.timers.delete(name);
      act();
    });
    this.timers.set(name, timer);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
