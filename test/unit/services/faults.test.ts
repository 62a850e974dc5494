import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createElection } from '../../../src/election/index.ts';
import {
  createReflector,
  endpointSlices,
  Http2KubeClient,
  fixedCredentials,
  parseServer,
  plainConnection,
  services,
  type KubeObject,
} from '../../../src/kube/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import { createNode } from '../../../src/node/index.ts';
import {
  createStatusWrite,
  projectService,
  ServicesOperator,
  SliceProjector,
  StatusWriter,
  type EndpointSlice,
  type Service,
} from '../../../src/services/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';
import { eventually } from '../kube/fixture.ts';
import { defaults, World } from './scene.ts';

const namespace = 'shop';

function serviceObject(name: string, vip: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations: { 'kube-vip.io/loadbalancerIPs': vip } },
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Cluster', ports: [{ port: 80, protocol: 'TCP' }] },
  } as KubeObject;
}

function sliceObject(name: string): KubeObject {
  return {
    metadata: { name: `${name}-1`, namespace, labels: { 'kubernetes.io/service-name': name } },
    endpoints: [{ addresses: ['10.1.0.1'], nodeName: 'a', conditions: { ready: true } }],
  } as KubeObject;
}

/** The operator with real reflectors and a real client on a fake API server, on a holder. */
async function start(t: TestContext, prepare: (api: FakeApi) => void = () => undefined) {
  const api = new FakeApi();
  const { url } = await api.listen();
  const server = parseServer(url);
  assert.ok(server !== undefined);
  const clock = new FakeClock();
  const tools = { clock, random: () => 0.5, log: silentLogger };
  const credentials = fixedCredentials(plainConnection(server));
  const client = new Http2KubeClient({ ...tools, credentials }, { pingMs: 1e9, timeoutMs: 1e9 });
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  const node = createNode({ kernel, clock, log: silentLogger });
  await node.start();
  const identity = { identity: 'a', leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000 };
  const lease = new MemoryLease();
  const writer: StatusWriter = new StatusWriter({
    write: createStatusWrite(client),
    read: (key) => reflector.items.get(key),
    ...tools,
  });
  const operator: ServicesOperator = new ServicesOperator(
    {
      node,
      sweep: () => undefined,
      elect: () => createElection({ store: memoryLeaseStore(lease), ...tools }, identity),
      local: { hasLink: () => true, ownAddresses: () => [], ownerOf: () => undefined },
      status: writer,
      resolve: () => Promise.reject(new Error('no resolver')),
      view: { provenAt: () => clock.now(), refresh: () => undefined },
      clock,
      log: silentLogger,
      observer: {},
    },
    { ...defaults, node: 'a' },
  );
  const reflector = createReflector<Service>(
    { client, ...tools },
    { resource: services, map: projectService, listener: operator.servicesListener },
  );
  const slices = createReflector<EndpointSlice>(
    { client, ...tools },
    {
      resource: endpointSlices,
      map: new SliceProjector().slice,
      listener: operator.slicesListener,
    },
  );
  const stop = new AbortController();
  const running = [operator.run(stop.signal), reflector.run(stop.signal), slices.run(stop.signal)];
  t.after(async () => {
    stop.abort();
    await clock.advance(1000);
    await Promise.all(running);
    writer.close();
    client.close();
    await api.close();
  });
  const vips = (): string =>
    [...kernel.showAddresses().matchAll(/inet (\S+)\/32 .*deprecated/g)].map(([, vip]) => vip).join(' ');
  const until = (what: string, condition: () => boolean): Promise<void> =>
    eventually(what, () => {
      if (condition()) return true;
      void clock.advance(20);
      return false;
    });
  const add = (name: string, vip: string): void => {
    api.put(endpointSlices, sliceObject(name));
    api.put(services, serviceObject(name, vip));
  };
  prepare(api);
  add('one', '192.0.2.1');
  await until('the first VIP', () => vips() === '192.0.2.1');
  const ingress = (name: string): string | undefined => {
    const service = api.peek(services, { namespace, name }) as Service | undefined;
    return service?.status?.loadBalancer?.ingress?.[0]?.ip;
  };
  return { api, add, vips, until, ingress };
}

test('SVC-24 401 and 403 when a watch starts are outlasted, and so is a storm of them', async (t) => {
  const { api, add, vips, until } = await start(t, (fake) => {
    fake.fail({ path: '/api/v1/services' }, { status: 403, reason: 'Forbidden' }, 3);
    fake.fail({ path: '/apis/discovery.k8s.io' }, { status: 401, reason: 'Unauthorized' }, 3);
  });
  const storm = api.fail({}, { status: 403, reason: 'Forbidden' });
  api.endWatches();
  add('two', '192.0.2.2');
  await until('the storm', () => storm.hits >= 4);
  assert.equal(vips(), '192.0.2.1', 'what stood stands');
  storm.clear();
  await until('the second VIP', () => vips() === '192.0.2.1 192.0.2.2');
});

test('after a 410 the deletions that were missed are made up for', async (t) => {
  const { api, add, vips, until } = await start(t);
  add('two', '192.0.2.2');
  await until('both VIPs', () => vips() === '192.0.2.1 192.0.2.2');
  const block = api.fail({ verb: ['watch', 'list'] }, { status: 503 });
  api.endWatches();
  api.remove(services, { namespace, name: 'one' });
  api.compact();
  block.clear();
  await until('the deletion', () => vips() === '192.0.2.2');
});

test('a watch that goes silent is noticed', async (t) => {
  const { api, add, vips, until } = await start(t);
  api.silenceWatches();
  add('two', '192.0.2.2');
  await until('the second VIP', () => vips() === '192.0.2.1 192.0.2.2');
});

test('where patch is forbidden the status is written by update', async (t) => {
  const { api, until, ingress } = await start(t, (fake) => {
    fake.fail({ verb: 'patch' }, { status: 403, reason: 'Forbidden' });
  });
  await until('the status', () => ingress('one') === '192.0.2.1');
  const service = api.peek(services, { namespace, name: 'one' });
  assert.equal(service?.metadata.annotations?.['kube-vip.io/vipHost'], 'a');
  assert.equal(service.metadata.annotations['kube-vip.io/loadbalancerIPs'], '192.0.2.1');
});

test('a status that is refused for one Service is written for the others', async (t) => {
  const { add, until, ingress } = await start(t, (fake) => {
    fake.fail({ verb: ['patch', 'update'], path: '/api/v1/namespaces/shop/services/one' }, { status: 422 });
  });
  for (let i = 2; i < 30; i++) add(`s${i}`, `192.0.2.${i}`);
  await until('the others', () =>
    Array.from({ length: 28 }, (_, i) => ingress(`s${i + 2}`)).every((vip) => vip !== undefined),
  );
  assert.equal(ingress('one'), undefined);
});

test('an address that the link does not take is an Event, and not in the status, until it does', async () => {
  const world = new World();
  const node = await world.add('a');
  await world.run(400);
  node.kernel.failNext('set address', errnoOf.EACCES, 3);
  world.serve({ name: 'web', vip: '2001:db8::1' });
  await world.run(5000);
  assert.match(
    node.told.join(),
    /^web NotOnLink 2001:db8::1 cannot be put on its link on a: set address .* \(EACCES\)$/,
  );
  assert.equal(node.statuses.at(-1), 'shop/web dropped');
  await world.run(6000);
  assert.ok(node.has('2001:db8::1'));
  assert.equal(node.statuses.at(-1), 'shop/web 2001:db8::1:80');
  await world.close();
});
