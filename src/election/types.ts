import type { Fence } from '../lib/fence.ts';

/**
 * Who may hold a VIP. Operators see only `Election`; behind it may stand a Kubernetes Lease, etcd,
 * or one day a quorum of peers. One contract suite runs over all of them.
 */

/** Why a tenure ended; the same words appear in logs, metrics, the status document and tests. */
export type LossReason =
  | 'renew-deadline' // no successful renew in time
  | 'taken' // the record names somebody else
  | 'deleted' // the record is gone
  | 'same-name' // another process renews the record under our name
  | 'released' // this process is stopping
  | 'resigned'; // an operator gave it up (failed health check, link down)

export interface ElectionListener {
  /** This node holds from now on. Synchronous: publish the VIP and return. */
  acquired(fence: Fence): void;
  /**
   * This node holds no longer; called before anything is sent to release the record. The VIP must
   * be off the node when this returns, or else when `withdrawn` says so.
   */
  lost(reason: LossReason): void;
  /**
   * Asked after each loss: what is off the node when this resolves took more than one turn of the event loop. Until
   * then nothing becomes of the election: nothing is released, and nothing acquired. Undefined: all is gone already.
   */
  withdrawn?(): Promise<void> | undefined;
  /** The record names this holder ('' when nobody); called on every change, also for oneself. */
  observed?(holder: string): void;
}

export interface ElectionStatus {
  readonly lease: string;
  readonly identity: string;
  readonly holder: string;
  readonly isHolder: boolean;
  /** Milliseconds since the last successful renew by this node; undefined when it never held. */
  readonly lastRenewAgeMs: number | undefined;
  readonly transitions: number;
  readonly lastReason: string;
  readonly lastError: string | undefined;
}

export interface Election {
  /** Campaigns until the signal aborts, again and again after each loss; withdraws and releases before it resolves. */
  run(listener: ElectionListener, signal: AbortSignal): Promise<void>;
  /** Read the record now: something suggests that another node believes it holds. */
  recheck(why: string): void;
  /** Give up a held tenure (lost('resigned'), then release) and stay out of the race for this long. */
  resign(why: string, pauseMs: number): void;
  status(): ElectionStatus;
}
