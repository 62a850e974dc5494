import { aborted } from '../lib/abort.ts';
import type { Logger } from '../lib/log.ts';
import type { NodeStore } from '../node/types.ts';
import { advertisedSpecs, type AddressForm } from './specs.ts';
import type { ControlPlaneOptions, PlaneVip } from './types.ts';

export interface EveryNodeParts {
  readonly node: NodeStore;
  /** Removes what a predecessor left of these VIPs, as far as nobody wants it. */
  readonly sweep: () => void;
  /** Ends all BGP sessions; resolves when the peers have taken what was withdrawn, or in a second. */
  readonly endSessions: () => Promise<void>;
  readonly log: Logger;
}

export type EveryNodeOptions = AddressForm & Pick<ControlPlaneOptions, 'vips'>;

/**
 * The control-plane operator of BGP mode without election: the VIP is on every node, and each node
 * advertises it as long as its own API server is healthy; routers spread connections over all paths.
 *
 *   start      ──► publish the address; advertise at once, or when the first check says healthy
 *   unhealthy  ──► withdraw the route and keep the address: connections that are still here go on
 *   stop       ──► withdraw the route, let the peers take note, and only then remove the address
 */
export class EveryNode {
  private readonly parts: EveryNodeParts;
  private options: EveryNodeOptions;
  private isHealthy: boolean;
  private isRunning = false;
  /** What is going on has been logged. */
  private hasTold = false;

  /** @param isHealthy false where a health check has to say so first. */
  constructor(parts: EveryNodeParts, options: EveryNodeOptions, isHealthy: boolean) {
    this.parts = parts;
    this.options = options;
    this.isHealthy = isHealthy;
  }

  /** Until the signal aborts. When it resolves no VIP of ours is on the node, and no peer has a route to it. */
  async run(signal: AbortSignal): Promise<void> {
    const { node, sweep, endSessions } = this.parts;
    this.isRunning = true;
    try {
      this.publish();
      sweep();
      await aborted(signal);
      this.isHealthy = false;
      this.publish();
      await endSessions();
    } finally {
      this.isRunning = false;
      node.withdraw('control-plane');
      sweep();
    }
  }

  /** The VIPs are others from now on (names). */
  setVips(vips: readonly PlaneVip[]): void {
    this.options = { ...this.options, vips };
    if (this.isRunning) this.publish();
  }

  /** What the health check says from now on; `why` is what was wrong. */
  setHealthy(isHealthy: boolean, why = ''): void {
    if (!this.isRunning) return;
    const vip = this.options.vips.map((each) => each.vip).join(',');
    if (!isHealthy && !this.isHealthy && !this.hasTold) {
      this.hasTold = true;
      const message = 'the local API server is not healthy: the control-plane VIP is not advertised yet';
      this.parts.log.warn(message, { vip, reason: why });
    }
    if (this.isHealthy === isHealthy) return;
    this.isHealthy = isHealthy;
    this.hasTold = true;
    this.publish();
    if (isHealthy)
      this.parts.log.info('the local API server is healthy: the control-plane VIP is advertised', { vip });
    else {
      const message = 'the local API server is unhealthy: the control-plane VIP is withdrawn';
      this.parts.log.warn(message, { vip, reason: why });
    }
  }

  private publish(): void {
    this.parts.node.publish('control-plane', advertisedSpecs(this.options, this.isHealthy));
  }
}
