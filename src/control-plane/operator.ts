import type { Election, ElectionListener, LossReason } from '../election/types.ts';
import { aborted, isAborted } from '../lib/abort.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Fence } from '../lib/fence.ts';
import type { Logger } from '../lib/log.ts';
import type { NodeStore } from '../node/types.ts';
import { holderSpecs, preservedSpecs } from './specs.ts';
import type { ControlPlaneObserver, ControlPlaneOptions, PlaneVip } from './types.ts';

export interface ControlPlaneParts {
  readonly node: NodeStore;
  /** Removes marked VIPs that nobody wants (left by a crashed predecessor). */
  readonly sweep: () => void;
  readonly election: Election;
  /** Who the record names now ('' for nobody); used only while stopping with a preserved VIP. */
  readonly readHolder: () => Promise<string>;
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer?: ControlPlaneObserver;
}

/**
 * The control-plane operator: turns the tenure of one lease into specs for this node.
 *
 *   acquired ──► publish address + announcement, fenced
 *   lost     ──► withdraw everything            (preserve: keep silent IPv4 addresses
 *                                                until the record names another holder)
 *   start    ──► a leftover VIP stays until the first word about the lease: our name adopts it,
 *                anybody else's sweeps it, and so does silence for `leftoverGraceMs`
 */
export class ControlPlane implements ElectionListener {
  private readonly parts: ControlPlaneParts;
  private options: ControlPlaneOptions;
  private held = false;
  private fence: Fence | undefined;
  /** BGP only: false keeps the VIPs of a holder from the peers. */
  private isHealthy = true;
  /** Monotonic milliseconds of the last loss; undefined before the first. */
  private lostAt: number | undefined;
  private preserving = false;
  /** Pending decision about leftovers of a predecessor; undefined once taken. */
  private leftovers: Timer | undefined;

  constructor(parts: ControlPlaneParts, options: ControlPlaneOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Campaigns until the signal aborts. When it resolves no VIP of ours is on the node. */
  async run(signal: AbortSignal): Promise<void> {
    this.awaitFirstWord();
    const over = new AbortController();
    let budget: Timer | undefined;
    const stopping = (): void => {
      budget = this.parts.clock.after('preserve-stop-budget', this.options.preserveStopBudgetMs, () => {
        // However long the release takes: nothing of ours stays for longer.
        if (this.preserving) this.parts.node.withdraw('control-plane');
        over.abort();
      });
    };
    if (signal.aborted) stopping();
    else signal.addEventListener('abort', stopping, { once: true });
    await this.parts.election.run(this, signal);
    this.leftovers?.cancel();
    if (this.preserving && signal.aborted) await this.outlast(over.signal);
    budget?.cancel();
    this.parts.node.withdraw('control-plane');
    this.parts.sweep();
  }

  /** BGP: whether the peers may know of the VIPs while this node holds them. */
  setHealthy(isHealthy: boolean): void {
    if (this.isHealthy === isHealthy) return;
    this.isHealthy = isHealthy;
    if (this.fence === undefined) return;
    this.publish(this.fence);
    const message = isHealthy ? 'advertised, the local API server is healthy' : 'withdrawn from BGP peers';
    this.parts.log.info(`control-plane VIP ${message}`, { vip: this.vipNames() });
  }

  /** The VIPs are others from now on (names). What is preserved stays what it was: who does not hold takes none. */
  setVips(vips: readonly PlaneVip[]): void {
    this.options = { ...this.options, vips };
    if (this.fence !== undefined) this.publish(this.fence);
  }

  acquired(fence: Fence): void {
    this.held = true;
    this.fence = fence;
    this.preserving = false;
    // Clients whose packets have waited for the address come with it: they must be balanced, and a port that only is
    // balanced refuses them until it is. Before the leftovers go, too: a predecessor's balancing is taken over without a gap.
    this.parts.observer?.holding?.(true);
    this.publish(fence);
    const away =
      this.lostAt === undefined ? {} : { sinceLossMs: Math.round(this.parts.clock.now() - this.lostAt) };
    this.parts.log.info('this node holds the control-plane VIP', { vip: this.vipNames(), ...away });
    this.settleLeftovers('this node holds the lease');
  }

  lost(reason: LossReason): void {
    // The VIP first: nothing may stand between this call and the address leaving the link.
    this.held = false;
    this.fence = undefined;
    this.lostAt = this.parts.clock.now();
    if (this.options.preserve) {
      this.preserving = true;
      this.parts.node.publish('control-plane', preservedSpecs(this.options));
    } else {
      this.parts.node.withdraw('control-plane');
    }
    const kept = this.options.preserve ? 'IPv4 addresses kept until another node holds' : undefined;
    this.parts.log.warn('this node lost the control-plane VIP', {
      vip: this.vipNames(),
      reason,
      ...(kept === undefined ? {} : { kept }),
    });
    this.parts.observer?.holding?.(false);
    this.parts.observer?.lost?.(reason);
  }

  observed(holder: string): void {
    this.parts.observer?.holder?.(holder);
    if (this.held || holder === this.parts.identity) return;
    if (holder === '' && this.options.preserve) return;
    if (this.preserving && holder !== '') {
      this.preserving = false;
      this.parts.node.withdraw('control-plane');
      this.parts.log.info('another node holds; preserved VIP removed', { holder, vip: this.vipNames() });
    }
    // Nobody named: we are about to campaign, so a leftover may still be adopted without a gap.
    if (holder !== '') this.settleLeftovers(`the lease names ${holder}`);
  }

  /** Until the lease has been read once, a leftover may be our own VIP from before a restart. */
  private awaitFirstWord(): void {
    if (this.options.preserve) return;
    this.leftovers = this.parts.clock.after('control-plane-leftovers', this.options.leftoverGraceMs, () => {
      this.settleLeftovers('the lease could not be read in time');
    });
  }

  private settleLeftovers(why: string): void {
    this.leftovers?.cancel();
    this.leftovers = undefined;
    this.parts.log.debug('sweeping leftovers', { reason: why });
    this.parts.sweep();
  }

  /** Stopping with a preserved VIP: it stays until another holder is named, but never beyond the budget. */
  private async outlast(over: AbortSignal): Promise<void> {
    const { clock, readHolder, identity } = this.parts;
    const end = aborted(over).then(() => '');
    while (!isAborted(over)) {
      const holder = await Promise.race([readHolder().catch(() => ''), end]);
      if (holder !== '' && holder !== identity) return;
      await clock.sleep('preserve-until-next-holder', 200, over);
    }
  }

  private publish(fence: Fence): void {
    this.parts.node.publish('control-plane', holderSpecs(this.options, fence, this.isHealthy));
  }

  private vipNames(): string {
    return this.options.vips.map(({ vip }) => vip).join(',');
  }
}
