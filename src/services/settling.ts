import type { Clock, Timer } from '../lib/clock.ts';
import { nodesOf } from './endpoints.ts';
import type { EndpointSlice, ServiceKey } from './types.ts';

/**
 * Milliseconds. kube-proxy hears of an endpoint when we do, but gathers changes for up to a second (its
 * minSyncPeriod) before it writes its rules, and until then drops what arrives for a Local Service.
 */
export const settleMs = 1_500;

/** The nodes with a serving endpoint of one Service; those with a timer have it only since a moment ago. */
type Nodes = Map<string, Timer | undefined>;

/**
 * Which nodes have had an endpoint of a Service long enough for their kube-proxy to know it. A VIP that moved to
 * another one would lose connections that its holder, whose endpoint still serves, would have answered. Nodes that
 * are there when a Service is first looked at count as settled: none has been serving longer than another.
 */
export class Settling {
  private readonly clock: Clock;
  private readonly due: (key: ServiceKey) => void;
  private readonly services = new Map<ServiceKey, Nodes>();

  /** `due`: a node has settled, so another decision may be right now. */
  constructor(clock: Clock, due: (key: ServiceKey) => void) {
    this.clock = clock;
    this.due = due;
  }

  /** What the Service's endpoints say now. Returns who is settled. */
  observe(key: ServiceKey, slices: Iterable<EndpointSlice>): (node: string) => boolean {
    const now = nodesOf(slices);
    const known = this.services.get(key);
    const nodes: Nodes = known ?? new Map<string, Timer | undefined>();
    this.services.set(key, nodes);
    for (const [node, timer] of nodes) {
      if (now.has(node)) continue;
      timer?.cancel();
      nodes.delete(node);
    }
    for (const node of now) {
      if (!nodes.has(node)) nodes.set(node, known === undefined ? undefined : this.timer(key, nodes, node));
    }
    return (node) => nodes.has(node) && nodes.get(node) === undefined;
  }

  forget(key: ServiceKey): void {
    for (const timer of this.services.get(key)?.values() ?? []) timer?.cancel();
    this.services.delete(key);
  }

  close(): void {
    for (const key of this.services.keys()) this.forget(key);
  }

  private timer(key: ServiceKey, nodes: Nodes, node: string): Timer {
    return this.clock.after(`services-settling ${key}`, settleMs, () => {
      nodes.set(node, undefined);
      this.due(key);
    });
  }
}
