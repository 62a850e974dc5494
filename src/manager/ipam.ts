import type { Config } from '../config/index.ts';
import type { Election, ElectionStatus } from '../election/index.ts';
import {
  Assigner,
  projectCandidate,
  type AssignmentStatus,
  type Candidate,
  type ConfigMapObject,
  type IpamOptions,
} from '../ipam/index.ts';
import {
  configMaps,
  createReflector,
  EventRecorder,
  nameSelector,
  nodes,
  services,
  type KubeObject,
  type NodeObject,
  type Reflector,
  type ReflectorStatus,
} from '../kube/index.ts';
import { aborted } from '../lib/abort.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Fence } from '../lib/fence.ts';
import type { Logger } from '../lib/log.ts';
import { createLeaseNews, type IpamStatus, type Metrics } from '../observe/index.ts';
import type { Api } from './api.ts';
import { ipsOf } from './control-plane-vips.ts';
import { ipamNews } from './ipam-news.ts';
import type { Parts } from './parts.ts';

export interface IpamTools {
  readonly api: Pick<Api, 'client'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface IpamSettings extends IpamOptions {
  /** Who speaks in Events. */
  readonly component: string;
  readonly identity: string;
}

export interface IpamFeature {
  status(): IpamStatus;
  /** What of `status` readiness depends on, which is asked for more often. */
  waitingFor(): string | undefined;
  leases(): readonly ElectionStatus[];
  watches(): readonly ReflectorStatus[];
  /** Runs until the signal aborts. Updates under way end before the lease is released. */
  run(signal: AbortSignal): Promise<void>;
}

/** An update of one Service may take this long. */
const writeTimeoutMs = 5000;
/** How long updates under way may hold up the end of the process. */
const drainMs = 2000;
/** Without an election nobody else assigns. */
const always: Fence = { holds: () => true };

interface Tenure {
  readonly assigner: Assigner;
  readonly reflectors: readonly Pick<Reflector<KubeObject>, 'status' | 'run'>[];
  readonly abort: AbortController;
}

/**
 * The address controller: while it holds its lease, three watches and an assigner. They begin anew with
 * every tenure, so each starts from a list that has all that the holder before wrote.
 *
 * @param election undefined: this process is the only one.
 */
export function buildIpam(
  tools: IpamTools,
  election: Election | undefined,
  settings: IpamSettings,
): IpamFeature {
  const { clock, log, metrics } = tools;
  let tenure: Tenure | undefined;
  const begin = (fence: Fence): void => {
    tenure = openTenure(tools, settings, fence);
  };
  const end = (): void => {
    tenure?.abort.abort();
    tenure?.assigner.close();
    tenure = undefined;
  };
  const drain = async (): Promise<void> => {
    if (tenure === undefined) return;
    const late = new AbortController();
    await Promise.race([tenure.assigner.drain(), clock.sleep('ipam-drain', drainMs, late.signal)]);
    late.abort();
  };
  const leaseNews = election === undefined ? undefined : createLeaseNews(metrics, election.status().lease);
  return {
    status: () => statusOf(election, tenure?.assigner.status()),
    waitingFor: () => tenure?.assigner.waitingFor,
    leases: () => (election === undefined ? [] : [election.status()]),
    watches: () =>
      (tenure?.reflectors ?? []).map((reflector) => {
        const watch = reflector.status();
        return { ...watch, resource: `ipam ${watch.resource}` };
      }),
    run: async (signal) => {
      const campaign = new AbortController();
      const stopped = aborted(signal).then(drain);
      const stop = stopped.then(() => {
        campaign.abort();
      });
      try {
        if (election === undefined) {
          begin(always);
          await stop;
          return;
        }
        const listener = {
          acquired: (fence: Fence) => {
            leaseNews?.acquired();
            log.info('this process assigns addresses to Services', { lease: election.status().lease });
            begin(fence);
          },
          lost: (reason: string) => {
            leaseNews?.lost(reason);
            end();
          },
        };
        await election.run(listener, campaign.signal);
      } finally {
        end();
      }
    },
  };
}

/** The controller inside the manager. Pools may be global, so it looks at the Services of all namespaces, whatever `svc_namespace` says. */
export function managersIpam(parts: Parts): IpamFeature {
  const { campaign, config, controlPlaneVips, identity } = parts;
  const election = campaign.pool.election({
    namespace: config.ipamLeaseNamespace,
    name: config.ipamLeaseName,
  });
  const { loadBalancerClassLegacyHandling: isLegacy, loadBalancerClassName: className } = config;
  return buildIpam(parts, election, {
    className,
    withoutClass: isLegacy ? !config.loadBalancerClassOnly : className === '',
    // A Service that is deleted while no manager runs must not have to wait for one.
    addFinalizer: false,
    // Asked for by each tenure: those of names change.
    get reserved() {
      return [...ipsOf(controlPlaneVips)];
    },
    configMap: poolsPlace(config),
    component: 'kube-vip',
    identity,
  });
}

/** Where the settings say the pools are. */
export function poolsPlace({ ipamConfigMap, ipamNamespace }: Config): IpamOptions['configMap'] {
  return { namespace: ipamNamespace, name: ipamConfigMap };
}

function openTenure(tools: IpamTools, settings: IpamSettings, fence: Fence): Tenure {
  const { api, clock, random, metrics } = tools;
  const { client } = api;
  const { component, identity } = settings;
  const log = tools.log.child('ipam');
  const shared = { client, clock, random, log };
  // Two, so that a burst of good news never costs a user the bad news.
  const recorder = (): EventRecorder => new EventRecorder(shared, { component, node: identity });
  const place = settings.configMap;
  const assigner = new Assigner(
    {
      write: async (service, signal) => {
        await client.update(services, service, { signal, timeoutMs: writeTimeoutMs });
      },
      createConfigMap: async () => {
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: place, data: {} };
        await client.create(configMaps, object);
      },
      clock,
      random,
      log,
      observer: ipamNews({ metrics, log, place, good: recorder(), bad: recorder() }),
    },
    settings,
    fence,
  );
  const reflectors = [
    createReflector<ConfigMapObject>(shared, {
      resource: configMaps,
      namespace: place.namespace,
      fieldSelector: nameSelector(place.name),
      listener: assigner.configListener,
    }),
    createReflector<NodeObject>(shared, {
      resource: nodes,
      map: ({ metadata, ...rest }) => ({
        metadata: { name: metadata.name ?? '' },
        status: { addresses: (rest as Partial<NodeObject>).status?.addresses ?? [] },
      }),
      listener: assigner.nodesListener,
    }),
    createReflector<Candidate>(shared, {
      resource: services,
      map: (raw) => projectCandidate(raw, settings),
      listener: assigner.servicesListener,
    }),
  ] as const;
  const abort = new AbortController();
  for (const reflector of reflectors) void reflector.run(abort.signal);
  return { assigner, reflectors, abort };
}

function statusOf(election: Election | undefined, assignment: AssignmentStatus | undefined): IpamStatus {
  if (assignment === undefined) {
    const holder = election?.status().holder ?? '';
    return { active: false, holder, pools: [], problems: [], waiting: 0, writing: 0, waitingFor: undefined };
  }
  return { active: true, holder: election?.status().identity ?? '', ...assignment };
}
