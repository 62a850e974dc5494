import type { NodeObject } from '../../kube/types.ts';
import type { Clock, Random, Timer } from '../../lib/clock.ts';
import { familyOf, type Family, type Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import { discover } from './discovery.ts';
import {
  emptyPool,
  serversOf,
  stepPool,
  type PoolEvent,
  type PoolOptions,
  type PoolServer,
  type PoolState,
} from './pool.ts';
import { Probes, type Prober } from './probes.ts';

export interface BalancerOptions extends PoolOptions {
  readonly vips: readonly Ip[];
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
}

export interface BalancerParts {
  /** Makes the kernel spread connections to these VIPs over these servers, those with servers; an empty map takes everything out. */
  readonly apply: (servers: ReadonlyMap<Ip, readonly PoolServer[]>) => void;
  /** A backend of this node name stopped answering its probes. */
  readonly failed?: (node: string) => void;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface BackendStatus {
  readonly node: string;
  readonly address: Ip;
  readonly phase: string;
  readonly lastProblem: string | undefined;
}

/** Why a VIP of this family is not balanced. */
function desertedText(family: Family): string {
  return `no control-plane node has an IPv${family} InternalIP, so only the API server of the node that holds it can answer there`;
}

/** How often weights and drain times are looked at while something is changing. */
const TICK_MS = 500;

/**
 * The balancer of the control plane. It follows the Nodes all the time, so that a node that takes the VIP
 * over knows the backends at once; it probes and programs the kernel only while this node holds.
 */
export class Balancer {
  private readonly parts: BalancerParts;
  private options: BalancerOptions;
  /** Undefined until they have been listed. */
  private nodes: readonly NodeObject[] | undefined;
  private readonly pools = new Map<Family, PoolState>();
  /** Families without a candidate, as last logged. */
  private readonly deserted = new Set<Family>();
  /** Families in which no candidate is ready, as last logged. */
  private readonly unready = new Set<Family>();
  private readonly probes: Probes;
  private ticking: Timer | undefined;
  private active = false;
  private keeping = false;
  private applied = '';

  constructor(parts: BalancerParts, options: BalancerOptions) {
    this.parts = parts;
    this.options = options;
    this.probes = new Probes(parts, {
      intervalOf: () => options.probeIntervalMs,
      timeoutMs: options.probeTimeoutMs,
      tell: (address, outcome) => {
        this.step(familyOf(address), { kind: 'probe', address, ...outcome });
        this.program();
      },
    });
  }

  /** The complete set of Nodes, after every change. */
  nodesChanged(nodes: Iterable<NodeObject>): void {
    this.nodes = [...nodes];
    if (this.active) this.findCandidates();
  }

  /** The VIPs are others from now on (names). */
  setVips(vips: readonly Ip[]): void {
    this.options = { ...this.options, vips };
    if (this.active) this.findCandidates();
  }

  /** This node carries the VIPs now: program the kernel in the same turn. */
  activate(): void {
    if (this.active) return;
    this.active = true;
    this.findCandidates();
  }

  /** This node no longer carries them. The kernel is clean when this returns. */
  deactivate(): void {
    this.active = false;
    this.ticking?.cancel();
    this.ticking = undefined;
    this.probes.want([]);
    this.pools.clear();
    this.deserted.clear();
    this.unready.clear();
    this.applied = '';
    this.parts.apply(new Map());
  }

  /** A backend ended the connection of its probe: it may be dead, and is asked at once. */
  lost(address: Ip): void {
    this.probes.lost(address);
  }

  status(): readonly BackendStatus[] {
    return [...this.pools.values()]
      .flat()
      .map(({ node, address, phase, lastProblem }) => ({ node, address, phase, lastProblem }));
  }

  /** VIPs that are not balanced while this node carries them, and why. */
  unserved(): readonly { readonly vip: Ip; readonly reason: string }[] {
    return this.options.vips
      .filter((vip) => this.deserted.has(familyOf(vip)))
      .map((vip) => ({ vip, reason: desertedText(familyOf(vip)) }));
  }

  private findCandidates(): void {
    // Nothing is known yet: what a predecessor has put into the kernel is better than nothing.
    if (this.nodes === undefined) return;
    for (const family of new Set(this.options.vips.map(familyOf))) {
      const { candidates, areUnready } = discover(this.nodes, family, this.options.vips);
      this.step(family, { kind: 'candidates', candidates });
      this.tellWhetherDeserted(family, candidates.length === 0);
      this.tellWhetherUnready(family, areUnready);
    }
    const members = [...this.pools.values()].flat();
    this.probes.want(members.flatMap(({ address, phase }) => (phase === 'draining' ? [] : [address])));
    this.program();
  }

  private tellWhetherDeserted(family: Family, isDeserted: boolean): void {
    if (isDeserted === this.deserted.has(family)) return;
    const vip = this.options.vips.filter((each) => familyOf(each) === family).join(',');
    if (isDeserted) {
      this.deserted.add(family);
      this.parts.log.warn(`the VIP is not balanced: ${desertedText(family)}`, { vip });
    } else {
      this.deserted.delete(family);
      this.parts.log.info(`there are control-plane nodes with an IPv${family} InternalIP again`, { vip });
    }
  }

  private tellWhetherUnready(family: Family, isUnready: boolean): void {
    if (isUnready === this.unready.has(family)) return;
    const { log } = this.parts;
    if (isUnready) {
      this.unready.add(family);
      log.warn(
        `no control-plane node is ready: all with an IPv${family} InternalIP serve as long as they answer`,
      );
    } else {
      this.unready.delete(family);
      log.info('there are ready control-plane nodes: only those serve', { family: `IPv${family}` });
    }
  }

  private step(family: Family, event: PoolEvent): void {
    const before = this.pools.get(family) ?? emptyPool;
    const after = stepPool(before, event, this.options, this.parts.clock.now());
    this.pools.set(family, after);
    for (const member of after) {
      const was = before.find(({ address }) => address === member.address)?.phase ?? 'unknown';
      if (was === member.phase || member.phase === 'unproven') continue;
      const fields = { node: member.node, backend: member.address, reason: member.lastProblem };
      if (member.phase === 'failed') {
        const isNew = was !== 'healthy';
        this.parts.log.warn(isNew ? 'backend does not serve' : 'backend leaves the rotation', fields);
        this.parts.failed?.(member.node);
      } else this.parts.log.info(`backend is ${member.phase}`, fields);
    }
  }

  /** Hands the kernel what changed; keeps ticking while weights grow or connections drain. */
  private program(): void {
    const now = this.parts.clock.now();
    const perVip = new Map<Ip, readonly PoolServer[]>();
    let keeping = false;
    for (const vip of this.options.vips) {
      const pool = serversOf(this.pools.get(familyOf(vip)) ?? emptyPool, this.options, now);
      perVip.set(vip, pool.servers);
      keeping ||= pool.keeping;
    }
    if (keeping !== this.keeping) {
      this.keeping = keeping;
      if (keeping) this.parts.log.error('the probes of all backends fail; the last good set goes on serving');
      else this.parts.log.info('a backend answers its probes again');
    }
    const text = JSON.stringify([...perVip]);
    if (text !== this.applied) {
      this.applied = text;
      this.parts.apply(perVip);
    }
    this.armTick();
  }

  private armTick(): void {
    if (this.ticking !== undefined) return;
    const now = this.parts.clock.now();
    const changing = [...this.pools.values()]
      .flat()
      .some(
        ({ phase, since }) =>
          phase === 'draining' || (phase === 'healthy' && now - since < this.options.slowStartMs),
      );
    if (!changing) return;
    this.ticking = this.parts.clock.after('balancer-tick', TICK_MS, () => {
      this.ticking = undefined;
      for (const family of this.pools.keys()) this.step(family, { kind: 'tick' });
      this.program();
    });
  }
}
