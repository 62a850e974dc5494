import assert from 'node:assert/strict';
import { after, before, describe, it, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { ensureComponents, waitFor, whyMissing } from '../../../lab/index.ts';
import {
  configMaps,
  createReflector,
  events,
  fixedCredentials,
  Http2KubeClient,
  KubeError,
  services,
  type KubeObject,
  type Resource,
} from '../../../src/kube/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { POWERLESS, startRealApi, type RealApi } from '../kube/real-api.ts';
import { Controller, manifestText } from './controller-process.ts';

const annotation = 'kube-vip.io/loadbalancerIPs';
const pools = { namespace: 'kube-system', name: 'kubevip' };
/** Between the ports of the API server and those that the kernel gives to connections. */
const statusPort = 32_001 + (process.pid % 760);
const clusterWide = (group: string, plural: string, kind: string): Resource => {
  return { group, version: 'v1', plural, kind, namespaced: false };
};
const rbac = 'rbac.authorization.k8s.io';

interface Service extends KubeObject {
  readonly spec: { readonly loadBalancerIP?: string };
}
interface EventObject extends KubeObject {
  readonly involvedObject: { readonly name: string };
  readonly reason: string;
  readonly message: string;
}

/**
 * A call of the test itself. The client gives a server up that stands still for longer than a moment, and the program
 * tries again later; so does this. What such a server did all the same is done.
 */
function insist<T>(what: string, call: () => Promise<T>, done?: KubeError['kind']): Promise<unknown> {
  return waitFor(
    () =>
      call().then(
        () => true,
        (error: unknown) => {
          if (error instanceof KubeError && error.kind === done) return true;
          throw error;
        },
      ),
    { what },
  );
}

const missing = whyMissing(await ensureComponents(['etcd', 'kube-apiserver']));
if (missing !== undefined) test('the address controller on a real API server', { skip: missing });
else {
  describe('the address controller on a real API server', () => {
    const clock = systemClock();
    const parts = { clock, random: Math.random, log: silentLogger };
    let api: RealApi;
    let client: Http2KubeClient;
    const controllers: Controller[] = [];

    before(async () => {
      api = await startRealApi();
      client = new Http2KubeClient({ ...parts, credentials: fixedCredentials(api.connection) });
      for (const name of ['shop', 'other'])
        await client.create(clusterWide('', 'namespaces', 'Namespace'), {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name },
        });
      await grantWhatTheManifestGrants();
      start();
      await active(controllers[0]);
    });
    after(async () => {
      await Promise.all(controllers.map((controller) => controller.end('SIGKILL')));
      client.close();
      await api.close();
    });

    async function grantWhatTheManifestGrants(): Promise<void> {
      const documents = parseAllDocuments(manifestText('cloud-controller')).map(
        (document) => document.toJS() as KubeObject,
      );
      const role = documents.find(({ kind }) => kind === 'ClusterRole') ?? assert.fail();
      await client.create(clusterWide(rbac, 'clusterroles', 'ClusterRole'), role);
      await client.create(clusterWide(rbac, 'clusterrolebindings', 'ClusterRoleBinding'), {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: 'controller' },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role.metadata.name },
        subjects: [{ kind: 'User', name: POWERLESS.name, apiGroup: rbac }],
      } as KubeObject);
    }

    function start(): Controller {
      const controller = new Controller(api, statusPort + controllers.length);
      controllers.push(controller);
      return controller;
    }
    const active = (controller: Controller | undefined): Promise<unknown> =>
      waitFor(() => controller?.isActive, {
        what: 'the lease',
        timeoutMs: 60_000,
        detail: () => controller?.log ?? '',
      });

    const ref = (key: string) => {
      const [namespace = '', name = ''] = key.split('/');
      return { namespace, name };
    };
    async function create(key: string, spec: object = {}, port = 80, protocol = 'TCP'): Promise<void> {
      const service = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: ref(key),
        spec: {
          type: 'LoadBalancer',
          allocateLoadBalancerNodePorts: false,
          ports: [{ port, protocol }],
          ...spec,
        },
      } as KubeObject;
      await insist(`${key} to be made`, () => client.create(services, service), 'already-exists');
    }
    const read = (key: string): Promise<Service> => client.get<Service>(services, ref(key));
    const addressOf = async (key: string): Promise<string> =>
      (await read(key)).metadata.annotations?.[annotation] ?? '';
    const has = (key: string, address: string): Promise<unknown> =>
      waitFor(async () => (await addressOf(key)) === address, {
        what: `${key} to have ${address}`,
        detail: () => controllers.at(-1)?.log.slice(-1500) ?? '',
      });
    const told = (name: string, what: RegExp): Promise<unknown> =>
      waitFor(
        async () => {
          const { items } = await client.list<EventObject>(events);
          return items.some(
            ({ involvedObject, reason, message }) =>
              involvedObject.name === name && what.test(`${reason}: ${message}`),
          );
        },
        { what: `an Event ${String(what)} on ${name}` },
      );
    const setPools = (data: Readonly<Record<string, string | null>>): Promise<unknown> =>
      insist('the pools to be written', () => client.patch(configMaps, pools, 'merge', { data }));

    it('IPAM-14 IPAM-18 creates the ConfigMap, says that there is no pool, and assigns when one is written', async () => {
      await waitFor(() => client.get(configMaps, pools), { what: 'the ConfigMap' });
      await create('shop/web');
      await told('web', /^NoAddressPool: no address pool for namespace shop/);
      await setPools({ 'cidr-global': '192.0.2.0/24', 'interface-global': 'eth5' });
      await has('shop/web', '192.0.2.1');
      await told('web', /^EnsuredLoadBalancer: assigned 192\.0\.2\.1/);
    });

    it('IPAM-08 one update brings all of it', async () => {
      const seen: Service[] = [];
      const abort = new AbortController();
      const reflector = createReflector<Service>(
        { client, ...parts },
        {
          resource: services,
          namespace: 'other',
          listener: { changed: (_key, now) => void seen.push(now) },
        },
      );
      void reflector.run(abort.signal);
      await waitFor(() => reflector.status().synced, { what: 'the list' });
      await create('other/one');
      await has('other/one', '192.0.2.2');
      await waitFor(() => seen.length >= 2, { what: 'the change' });
      abort.abort();
      assert.equal(seen.length, 2);
      const { metadata, spec } = seen[1] ?? assert.fail();
      assert.equal(metadata.labels?.['implementation'], 'kube-vip');
      assert.equal(metadata.annotations?.['kube-vip.io/serviceInterface'], 'eth5');
      assert.deepEqual(metadata.finalizers, ['service.kubernetes.io/load-balancer-cleanup']);
      assert.equal(spec.loadBalancerIP, '192.0.2.2');
    });

    it('IPAM-01 the pool of the namespace comes before the global one', async () => {
      await setPools({ 'cidr-shop': '198.51.100.0/28', 'interface-global': null });
      await create('shop/own');
      await has('shop/own', '198.51.100.1');
      await create('other/global');
      await has('other/global', '192.0.2.3');
      await setPools({ 'cidr-shop': null });
    });

    it('IPAM-06 both families for a Service that prefers two', async () => {
      await setPools({ 'cidr-shop': '198.51.100.16/28,2001:db8::/120' });
      await create('shop/dual', { ipFamilyPolicy: 'PreferDualStack' });
      await has('shop/dual', '198.51.100.16,2001:db8::');
      await setPools({ 'cidr-shop': null });
    });

    it('IPAM-10 Services share an address by port and protocol', async () => {
      await setPools({
        'range-other': '203.0.113.2-203.0.113.3',
        'cidr-global': null,
        'allow-share-other': 'true',
      });
      await create('other/dns-udp', {}, 53, 'UDP');
      await has('other/dns-udp', '203.0.113.2');
      await create('other/dns-tcp', {}, 53, 'TCP');
      await has('other/dns-tcp', '203.0.113.2');
      await create('other/web', {}, 80);
      await has('other/web', '203.0.113.2');
      await create('other/web2', {}, 80);
      await has('other/web2', '203.0.113.3');
      await create('other/web3', {}, 80);
      await told('web3', /^AddressPoolExhausted: other\/web3: no free IPv4 address in range-other/);
    });

    it('IPAM-09 IPAM-18 the address that is asked for, or an Event that says who has it', async () => {
      await create('other/asks', { loadBalancerIP: '203.0.113.2' }, 443);
      await has('other/asks', '203.0.113.2');
      await create('other/asks-too', { loadBalancerIP: '203.0.113.2' }, 443);
      await told(
        'asks-too',
        /^AddressRefused: .*203\.0\.113\.2 is used by Service other\/(?:asks|dns-tcp|dns-udp|web)\b/,
      );
      assert.equal(await addressOf('other/asks-too'), '');
    });

    it('IPAM-11 IPAM-13 a deleted Service goes, and its address is the next one’s', async () => {
      await insist('other/web to be deleted', () => client.delete(services, ref('other/web')), 'not-found');
      await has('other/web3', '203.0.113.2');
      await waitFor(
        async () =>
          !(await client.list(services, { namespace: 'other' })).items.some((s) => s.metadata.name === 'web'),
        { what: 'the Service to go' },
      );
    });

    it('pool usage is on the metrics page and in the status', async () => {
      const wanted = [
        /kube_vip_ipam_pool_addresses\{pool="range-other",family="4"\} 2/,
        /kube_vip_ipam_pool_used_addresses\{pool="range-other",family="4"\} 2/,
        /kube_vip_ipam_assigned_total \d+/,
      ];
      let text = '';
      await waitFor(
        async () => {
          text = await (await fetch(`http://127.0.0.1:${statusPort}/metrics`)).text();
          return wanted.every((pattern) => pattern.test(text));
        },
        { what: 'the figures of the pool', detail: () => text },
      );
    });

    it('IPAM-17 two controllers, the active one killed in the middle of a burst: no address twice', async () => {
      await setPools({ 'cidr-global': '10.200.0.0/16', 'allow-share-other': null, 'range-other': null });
      const second = start();
      await waitFor(() => second.log.includes('lease holder seen'), {
        what: 'the standby',
        timeoutMs: 60_000,
        detail: () => second.log,
      });
      const names = Array.from({ length: 120 }, (_, n) => `shop/burst-${n}`);
      const creating = Promise.all(names.map((name) => create(name)));
      await waitFor(async () => (await addressOf('shop/burst-20').catch(() => '')) !== '', {
        what: 'the burst to begin',
        everyMs: 5,
      });
      await controllers[0]?.end('SIGKILL');
      assert.ok(!second.isActive);
      await creating;
      await active(second);
      await waitFor(
        async () => {
          const { items } = await client.list(services, { namespace: 'shop' });
          return items.every(({ metadata }) => (metadata.annotations?.[annotation] ?? '') !== '');
        },
        { what: 'all addresses', timeoutMs: 60_000, detail: () => second.log.slice(-1500) },
      );
      await assertUnique();
    });

    it('IPAM-17 a restart changes nothing, and goes on where it was', async () => {
      const before = await versions();
      assert.equal(await controllers.at(-1)?.end('SIGTERM'), 0, controllers.at(-1)?.log);
      const third = start();
      await active(third);
      await create('shop/after');
      await waitFor(async () => (await addressOf('shop/after')) !== '', { what: 'an address' });
      const now = await versions();
      for (const [key, version] of before) assert.equal(now.get(key), version, key);
      await assertUnique();
    });

    async function versions(): Promise<ReadonlyMap<string, string>> {
      const { items } = await waitFor(() => client.list(services), { what: 'the Services' });
      return new Map(
        items.map(({ metadata: { namespace = '', name = '', resourceVersion = '' } }) => [
          `${namespace}/${name}`,
          resourceVersion,
        ]),
      );
    }

    async function assertUnique(): Promise<void> {
      const { items } = await waitFor(() => client.list(services, { namespace: 'shop' }), {
        what: 'the Services',
      });
      const given = items.flatMap(({ metadata }) => (metadata.annotations?.[annotation] ?? '').split(','));
      assert.deepEqual(given.length, new Set(given).size, given.join(' '));
    }
  });
}
