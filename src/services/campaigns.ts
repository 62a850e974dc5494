import type { Election, ElectionListener, ElectionStatus, LossReason } from '../election/types.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Fence } from '../lib/fence.ts';
import type { LeaseKey, ServiceKey } from './types.ts';

/** This node's part in the race for one lease, and the Services that depend on it. */
export interface Campaign {
  readonly lease: LeaseKey;
  /** Services to be advertised by the holder. */
  readonly members: Set<ServiceKey>;
  /** Services that are advertised under this lease until their new one is held. */
  readonly trailing: Set<ServiceKey>;
  readonly fence: Fence | undefined;
  /** Who the record names; undefined before the first word. */
  readonly holder: string | undefined;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
}

export interface CampaignsParts {
  readonly elect: (lease: LeaseKey) => Election;
  readonly clock: Clock;
  readonly acquired: (campaign: Campaign) => void;
  /** The VIPs must be off the node when this returns, or when `withdrawn` says so. */
  readonly lost: (campaign: Campaign, reason: LossReason) => void;
  readonly withdrawn: () => Promise<void> | undefined;
  readonly observed: (campaign: Campaign) => void;
  readonly changed: (lease: LeaseKey, change: 'started' | 'ended') => void;
  /** An election broke down: a listener threw. */
  readonly failed: (error: unknown) => void;
}

/** The campaigns this node runs: one for each lease that some Service here needs, for as long as one does. */
export class Campaigns {
  private readonly parts: CampaignsParts;
  private readonly running = new Map<LeaseKey, Run>();
  /** Leases that are being released. */
  private readonly ending = new Map<LeaseKey, Promise<void>>();
  private pinned: LeaseKey | undefined;

  constructor(parts: CampaignsParts) {
    this.parts = parts;
  }

  get(lease: LeaseKey): Campaign | undefined {
    return this.running.get(lease);
  }

  /** Campaigns for this lease until `stop`, whether a Service needs it or not. */
  pin(lease: LeaseKey): void {
    this.pinned = lease;
    this.join(lease, undefined, 0);
  }

  isPinned(lease: LeaseKey): boolean {
    return lease === this.pinned;
  }

  /** `delayMs`: how long to stay out of the race if this node is not in it already. */
  join(lease: LeaseKey, member: ServiceKey | undefined, delayMs: number): Campaign {
    const known = this.running.get(lease);
    const run = known ?? new Run(lease, this.parts);
    if (member !== undefined) run.members.add(member);
    if (known === undefined) {
      this.running.set(lease, run);
      this.parts.changed(lease, 'started');
      run.start(delayMs, this.ending.get(lease));
    }
    return run;
  }

  /** Ends the campaign when nobody needs it any more: the VIPs go, then the lease is released. */
  leave(lease: LeaseKey, member: ServiceKey): void {
    const run = this.running.get(lease);
    if (run === undefined) return;
    run.members.delete(member);
    run.trailing.delete(member);
    if (run.members.size + run.trailing.size === 0 && lease !== this.pinned) this.end(run);
  }

  /** Gives up all leases, or this one, and stays out of the races for so long. */
  resign(why: string, pauseMs: number, lease?: LeaseKey): void {
    for (const run of this.running.values())
      if (lease === undefined || run.lease === lease) run.election?.resign(why, pauseMs);
  }

  *statuses(): Generator<ElectionStatus> {
    for (const { election } of this.running.values()) if (election !== undefined) yield election.status();
  }

  /** Ends all; resolves when every lease is released. */
  async stop(): Promise<void> {
    this.pinned = undefined;
    for (const run of this.running.values()) this.end(run);
    await Promise.all(this.ending.values());
  }

  private end(run: Run): void {
    this.running.delete(run.lease);
    this.parts.changed(run.lease, 'ended');
    const ended = run.stop().finally(() => {
      if (this.ending.get(run.lease) === ended) this.ending.delete(run.lease);
    });
    this.ending.set(run.lease, ended);
  }
}

class Run implements Campaign, ElectionListener {
  readonly lease: LeaseKey;
  readonly members = new Set<ServiceKey>();
  readonly trailing = new Set<ServiceKey>();
  readonly startedAt: number;
  fence: Fence | undefined;
  holder: string | undefined;
  election: Election | undefined;
  private readonly parts: CampaignsParts;
  private readonly abort = new AbortController();
  private delay: Timer | undefined;
  private done: Promise<void> = Promise.resolve();

  constructor(lease: LeaseKey, parts: CampaignsParts) {
    this.lease = lease;
    this.parts = parts;
    this.startedAt = parts.clock.now();
  }

  /** `before`: an earlier campaign for the same lease, which has to release it first. */
  start(delayMs: number, before: Promise<void> | undefined): void {
    if (delayMs > 0) {
      this.delay = this.parts.clock.after(`services-lease ${this.lease}`, delayMs, () => {
        this.start(0, before);
      });
      return;
    }
    this.done = this.run(before).catch((error: unknown) => {
      this.parts.failed(error);
    });
  }

  private async run(before: Promise<void> | undefined): Promise<void> {
    if (before !== undefined) await before;
    if (this.abort.signal.aborted) return;
    this.election = this.parts.elect(this.lease);
    await this.election.run(this, this.abort.signal);
  }

  async stop(): Promise<void> {
    this.delay?.cancel();
    this.abort.abort();
    await this.done;
  }

  acquired(fence: Fence): void {
    this.fence = fence;
    this.parts.acquired(this);
  }

  lost(reason: LossReason): void {
    this.fence = undefined;
    this.parts.lost(this, reason);
  }

  withdrawn(): Promise<void> | undefined {
    return this.parts.withdrawn();
  }

  observed(holder: string): void {
    this.holder = holder;
    this.parts.observed(this);
  }
}
