import { createUncontestedElection, type Election, type ElectionListener } from '../election/index.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { Fence } from '../lib/fence.ts';
import type { Kernel } from '../linux/types.ts';
import { createNode, type NodeOptions } from '../node/index.ts';
import { createLogger, createMetrics, createNodeNews, type Metrics } from '../observe/index.ts';
import {
  QuietStatus,
  serviceNameLabel,
  ServicesOperator,
  type EndpointSlice,
  type Service,
  type ServicesOptions,
  type ServicesParts,
} from '../services/index.ts';
import { servicesNews } from './services-news.ts';

export interface StageParts extends Pick<ServicesParts, 'clock' | 'local'> {
  readonly kernel: Pick<Kernel, 'links'>;
  readonly options: ServicesOptions;
  readonly routes: Pick<NodeOptions, 'routes'>;
  readonly services: ReadonlyMap<string, Service>;
  readonly slices: ReadonlyMap<string, EndpointSlice>;
}

/** A node beside the real one, on which Services can be taken over without anybody noticing. */
export interface Stage {
  /** Takes over the VIPs of 160 Services, anew if it has them. */
  takeOver(): Promise<void>;
  /** Nothing happens on it any more; it has the VIPs. */
  rest(): void;
  close(): Promise<void>;
}

/** More than go to the node together (`services/publisher.ts`), and a few milliseconds of work. */
const atOnce = 160;
/** Something waits for an answer of the kernel that nobody gives here. */
const patienceMs = 100;
/** What is left of a tenure, to whoever asks. */
const tenureMs = 10_000;

/**
 * A node and a services operator as the real ones are, but of their own: with leases that are had for the asking, a kernel that
 * says yes and does nothing, and nobody to tell. They see the real Services, and what they are given has the shape of what the real ones have:
 * code that V8 has optimized for other objects is thrown away at the first that is not like them.
 */
export async function openStage(
  parts: StageParts,
  kernel: Kernel = kernelOfStage(parts.kernel),
): Promise<Stage> {
  const { clock, options, routes } = parts;
  const log = createLogger({ level: 0, format: 'text', write: () => undefined, clock });
  const metrics = createMetrics();
  const nobody = { secondClaimant: () => undefined, heldBack: () => undefined };
  const observer = { ...createNodeNews(metrics, clock), ...nobody };
  const node = createNode({ kernel, clock, log, observer }, routes);
  const isBusy = (): boolean => operator.isBusy() || node.isBusy();
  const status = new QuietStatus({ want: () => undefined, drop: () => undefined }, clock, isBusy);
  const leases = new StageLeases(options.node);
  const operator = operatorOf(parts, { node, status, leases, log, metrics });
  await node.start();
  const end = new AbortController();
  const ended = operator.run(end.signal);
  const settled = (): Promise<void> => settle(clock, isBusy);
  show(operator, parts);
  await settled();
  return {
    takeOver: async () => {
      leases.go();
      await settled();
      leases.come();
      await settled();
    },
    rest: () => {
      node.close();
    },
    close: async () => {
      leases.go();
      end.abort();
      await ended;
      status.close();
      node.close();
    },
  };
}

function operatorOf(
  { clock, local, options }: StageParts,
  {
    node,
    status,
    leases,
    log,
    metrics,
  }: Pick<ServicesParts, 'node' | 'status' | 'log'> & { leases: StageLeases; metrics: Metrics },
): ServicesOperator {
  const recorder = { record: () => undefined };
  const news = servicesNews(metrics, recorder, log, options.globalLease, () => undefined);
  return new ServicesOperator(
    {
      node,
      sweep: () => undefined,
      elect: () => leases.election(),
      local,
      status,
      resolve: () => Promise.resolve([]),
      view: { provenAt: () => clock.now(), refresh: () => undefined },
      clock,
      log: log.child('services'),
      observer: { ...news, provides: () => undefined },
    },
    // The firewall is not rehearsed.
    { ...options, guarded: false, debounceMs: 0 },
  );
}

/** Tells the operator of the first Services, and of their endpoints, as if they had just been listed. */
function show(operator: ServicesOperator, { services, slices }: StageParts): void {
  const { servicesListener, slicesListener } = operator;
  const shown = new Map([...services].slice(0, atOnce));
  for (const [key, service] of shown) servicesListener.changed?.(key, service, undefined);
  servicesListener.synced?.(shown);
  for (const [key, slice] of slices) {
    const { namespace = '', labels = {} } = slice.metadata;
    if (shown.has(`${namespace}/${labels[serviceNameLabel] ?? ''}`))
      slicesListener.changed?.(key, slice, undefined);
  }
  slicesListener.synced?.(slices);
}

async function settle(clock: Clock, isBusy: () => boolean): Promise<void> {
  const deadline = clock.now() + patienceMs;
  do await clock.sleep('rehearsal', 1);
  while (isBusy() && clock.now() < deadline);
}

/** Leases that nobody else wants, and that all come and go at once. */
class StageLeases {
  private readonly identity: string;
  private readonly listeners = new Set<ElectionListener>();
  private isHeld = false;
  private times = 0;

  constructor(identity: string) {
    this.identity = identity;
  }

  election(): Election {
    return {
      ...createUncontestedElection(this.identity),
      run: async (listener, signal) => {
        this.listeners.add(listener);
        listener.observed?.('');
        await aborted(signal);
        this.listeners.delete(listener);
      },
    };
  }

  come(): void {
    this.isHeld = true;
    // From one that stops, and from one that has died.
    const isHandedOver = this.times++ % 2 === 0;
    const fence: Fence = {
      holds: () => this.isHeld,
      remainingMs: () => tenureMs,
      wasHandedOver: () => isHandedOver,
    };
    for (const listener of this.listeners) listener.acquired(fence);
  }

  go(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    for (const listener of this.listeners) listener.lost('taken');
  }
}

/** One with the links of the real one, where whatever is asked for is said to be done, and is not. */
export function kernelOfStage(real: Pick<Kernel, 'links'>): Kernel {
  const done = (): undefined => undefined;
  const allDone = (requests: readonly unknown[]): readonly undefined[] => requests.map(done);
  const none = (): Promise<readonly never[]> => Promise.resolve([]);
  return {
    links: () => real.links(),
    linkByName: done,
    addresses: none,
    setAddress: done,
    removeAddress: done,
    setAddresses: allDone,
    removeAddresses: allDone,
    routes: none,
    setRoute: done,
    removeRoute: done,
    setRoutes: allDone,
    removeRoutes: allDone,
    rules: none,
    addRule: done,
    removeRule: done,
    neighbours: none,
    removeNeighbour: done,
    watch: () => ({ close: done }),
    openPacketSocket: () => ({ send: done, setFilter: done, close: done }),
    readSysctl: () => '0',
    writeSysctl: done,
  };
}
