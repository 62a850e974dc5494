import type { Election, ElectionListener } from '../election/types.ts';
import type { Clock } from '../lib/clock.ts';
import { ip, type Ip, type Mac } from '../lib/ip.ts';
import type { Kernel, Link } from '../linux/index.ts';
import { createNode, type Node } from '../node/index.ts';
import { createLogger, createMetrics, createNodeNews, LogLines } from '../observe/index.ts';
import {
  ServicesOperator,
  type EndpointSlice,
  type Service,
  type ServicesOptions,
} from '../services/index.ts';
import { servicesNews } from './services-news.ts';

const className = 'stage';
const link: Link = {
  index: 2,
  name: 'stage',
  hardwareType: 1,
  mac: '02:00:00:00:00:01' as Mac,
  broadcast: 'ff:ff:ff:ff:ff:ff' as Mac,
  mtu: 1500,
  operState: 'up',
  adminUp: true,
  carrier: true,
  loopback: false,
  kind: undefined,
  master: undefined,
};

/** For `vip_subnet=auto`: all VIPs are in its subnet (198.18.0.0/15 is for such plays, RFC 2544). */
const ownAddress = { link: link.name, address: ip('198.19.0.1'), prefixLength: 15 };

/** A node and an operator of this program that play among themselves. */
export interface Stage {
  readonly node: Node;
  readonly operator: ServicesOperator;
  readonly election: StageElection;
  /** Resolves when the signal has aborted and everything is cleared away. */
  readonly ended: Promise<void>;
}

/** With so many Services, each with a VIP of its own. */
export async function openStage(
  count: number,
  clock: Clock,
  options: ServicesOptions,
  signal: AbortSignal,
): Promise<Stage> {
  const metrics = createMetrics();
  const lines = new LogLines(() => undefined);
  const log = createLogger({ level: 0, format: 'text', write: (line) => lines.add(line), clock });
  const node = createNode({ kernel: noKernel(), clock, log, observer: createNodeNews(metrics, clock) });
  await node.start();
  const election = new StageElection();
  const operator = new ServicesOperator(
    {
      node,
      sweep: () => undefined,
      elect: () => election,
      local: { hasLink: () => true, ownAddresses: () => [ownAddress], ownerOf: () => undefined },
      status: { want: () => undefined, drop: () => undefined },
      resolve: () => Promise.resolve([]),
      view: { provenAt: () => clock.now(), refresh: () => undefined },
      clock,
      log,
      observer: servicesNews(metrics, { record: () => undefined }, log, options.globalLease, () => undefined),
    },
    {
      ...options,
      className,
      mainLink: link.name,
      servicesLink: '',
      reserved: new Map(),
      preserve: false,
      debounceMs: 0,
    },
  );
  const { servicesListener, slicesListener } = operator;
  const ended = operator.run(signal);
  for (let i = 0; i < count; i++) {
    slicesListener.changed?.(`stage/s${i}`, sliceOf(i, options.node), undefined);
    servicesListener.changed?.(`stage/s${i}`, serviceOf(i), undefined);
  }
  servicesListener.synced?.(new Map());
  slicesListener.synced?.(new Map());
  return { node, operator, election, ended };
}

/** Its listener holds when the play says so. */
class StageElection implements Election {
  listener: ElectionListener | undefined;

  async run(listener: ElectionListener, signal: AbortSignal): Promise<void> {
    this.listener = listener;
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    signal.addEventListener('abort', () => {
      resolve(undefined);
    });
    await promise;
    listener.lost('released');
    await listener.withdrawn?.();
  }

  recheck(): void {
    // Nobody else is on the stage.
  }

  resign(): void {
    // It ends when the play says so.
  }

  status(): never {
    throw new Error('an election on a stage has no record');
  }
}

/** Takes everything, does nothing, and tells of nothing. */
function noKernel(): Kernel {
  const nothing = (): undefined => undefined;
  const none = (): Promise<readonly never[]> => Promise.resolve([]);
  const taken = (requests: readonly unknown[]): readonly undefined[] => requests.map(nothing);
  return {
    links: () => Promise.resolve([link]),
    linkByName: () => link,
    addresses: none,
    setAddress: nothing,
    removeAddress: nothing,
    setAddresses: taken,
    removeAddresses: taken,
    routes: none,
    setRoute: nothing,
    removeRoute: nothing,
    rules: none,
    addRule: nothing,
    removeRule: nothing,
    neighbours: none,
    watch: () => ({ close: nothing }),
    openPacketSocket: () => ({ send: nothing, setFilter: nothing, close: nothing }),
    readSysctl: () => '1',
    writeSysctl: nothing,
  };
}

function vipOf(i: number): Ip {
  return ip(`198.18.${i >> 8}.${i & 255}`);
}

function serviceOf(i: number): Service {
  return {
    metadata: { name: `s${i}`, namespace: 'stage', uid: `stage-${i}` },
    spec: {
      type: 'LoadBalancer',
      loadBalancerClass: className,
      loadBalancerIP: vipOf(i),
      ports: [{ port: 80, protocol: 'TCP' }],
    },
  };
}

function sliceOf(i: number, node: string): EndpointSlice {
  return {
    metadata: { name: `s${i}`, namespace: 'stage', labels: { 'kubernetes.io/service-name': `s${i}` } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [vipOf(i)], nodeName: node, conditions: { ready: true } }],
  };
}
