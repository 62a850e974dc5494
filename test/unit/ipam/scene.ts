import type { TestContext } from 'node:test';
import { configMaps, events, nodes, services, type KubeObject } from '../../../src/kube/index.ts';
import { buildIpam, type IpamFeature, type IpamSettings } from '../../../src/manager/ipam.ts';
import { createMetrics, type Metrics } from '../../../src/observe/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { fixedCredentials, plainConnection } from '../../../src/kube/index.ts';
import type { RecordingLogger } from '../../../src/testing/logger.ts';
import { clientOf, eventually } from '../kube/fixture.ts';
import { parsed } from '../kube/subject.ts';
import type { FakeClock } from '../../../src/testing/fake-clock.ts';

export const settings: IpamSettings = {
  className: undefined,
  withoutClass: true,
  addFinalizer: true,
  reserved: [],
  configMap: { namespace: 'kube-system', name: 'kubevip' },
  component: 'kube-vip-cloud-controller',
  identity: 'node-a',
};

export interface ServiceWish {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly spec?: object;
  readonly port?: number;
  readonly protocol?: string;
}

interface Written extends KubeObject {
  readonly spec: { readonly loadBalancerIP?: string; readonly ports?: unknown };
}

interface EventObject extends KubeObject {
  readonly involvedObject: { readonly name: string };
  readonly reason: string;
  readonly message: string;
}

const addresses = 'kube-vip.io/loadbalancerIPs';

export interface Scene {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly metrics: Metrics;
  readonly ipam: IpamFeature;
  /** Begins to assign. */
  start(): void;
  stop(): Promise<void>;
  pools(data: Readonly<Record<string, string>>): void;
  service(key: string, wish?: ServiceWish): void;
  /** What some speaker writes into the status. */
  setStatus(key: string, address: string): Promise<void>;
  /** What a user changes. */
  edit(key: string, change: object): Promise<void>;
  remove(key: string): void;
  node(name: string, ...addresses: readonly string[]): void;
  read(key: string): Written | undefined;
  /** The annotation, '' when there is none. */
  addressOf(key: string): string;
  has(key: string, address: string): Promise<void>;
  /** `Reason: message` of the Events on an object. */
  eventsOf(name: string): Promise<readonly string[]>;
  told(name: string, what: RegExp): Promise<void>;
  /** Updates of Services so far. */
  updates(): readonly string[];
}

/** The controller without an election, over real sockets to a fake API server, on a clock that stands still. */
export async function scene(
  t: TestContext,
  over: Partial<IpamSettings> = {},
  shared?: FakeApi,
): Promise<Scene> {
  const api = shared ?? new FakeApi();
  const { url } = await api.listen();
  const { client, clock, log } = clientOf(t, fixedCredentials(plainConnection(parsed(url))));
  if (shared === undefined) t.after(() => api.close());
  const metrics = createMetrics();
  const random = (): number => 0.5;
  const tools = { api: { client }, clock, random, log, metrics };
  const ipam = buildIpam(tools, undefined, { ...settings, ...over });
  const abort = new AbortController();
  let running: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  t.after(stop);
  const ref = (key: string) => {
    const slash = key.indexOf('/');
    return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
  };
  const read = (key: string): Written | undefined => api.peek(services, ref(key)) as Written | undefined;
  const addressOf = (key: string): string => read(key)?.metadata.annotations?.[addresses] ?? '';
  const eventsOf = async (name: string): Promise<readonly string[]> => {
    const { items } = await client.list<EventObject>(events);
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  };
  return {
    api,
    clock,
    log,
    metrics,
    ipam,
    start: () => {
      running = ipam.run(abort.signal);
    },
    stop,
    pools: (data) => {
      api.put(configMaps, { metadata: settings.configMap, data } as KubeObject);
    },
    service: (key, wish = {}) => {
      api.put(services, serviceObject(ref(key), wish));
    },
    setStatus: async (key, address) => {
      const status = { loadBalancer: { ingress: [{ ip: address }] } };
      await client.patch(services, ref(key), 'merge', { status }, { subresource: 'status' });
    },
    edit: async (key, change) => {
      await client.patch(services, ref(key), 'merge', change);
    },
    remove: (key) => {
      api.remove(services, ref(key));
    },
    node: (name, ...own) => {
      const status = { addresses: own.map((address) => ({ type: 'InternalIP', address })) };
      api.put(nodes, { metadata: { name }, status } as KubeObject);
    },
    read,
    addressOf,
    has: (key, address) => eventually(`${key} has ${address}`, () => addressOf(key) === address),
    eventsOf,
    told: async (name, what) => {
      const deadline = process.hrtime.bigint() + 5_000_000_000n;
      for (;;) {
        const found = await eventsOf(name);
        if (found.some((text) => what.test(text))) return;
        if (process.hrtime.bigint() > deadline)
          throw new Error(`${name} was not told ${String(what)} but ${found.join('; ')}`);
      }
    },
    updates: () =>
      api.requests
        .filter(({ verb, path }) => verb === 'update' && path.includes('/services/'))
        .map(({ path }) => path),
  };
}

export function serviceObject(
  ref: { readonly namespace: string; readonly name: string },
  wish: ServiceWish,
): KubeObject {
  const { annotations, labels, finalizers, spec } = wish;
  const { port = 80, protocol = 'TCP' } = wish;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...ref,
      ...(annotations === undefined ? {} : { annotations }),
      ...(labels === undefined ? {} : { labels }),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
    spec: {
      type: 'LoadBalancer',
      sessionAffinity: 'None',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'main', port, protocol, targetPort: 8080 }],
      ...spec,
    },
  } as KubeObject;
}
