import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HolderWatch, waitFor } from '../../../lab/index.ts';
import { namespace, type ServiceWish } from './objects.ts';
import { stageOf, whySkipped, type Stage } from './stage.ts';

interface Row {
  readonly what: string;
  readonly wish: Omit<ServiceWish, 'name'>;
  readonly reason: string;
  /** What the message begins with: where to look. */
  readonly field: string;
  /** It is served all the same. */
  readonly isServed?: boolean;
}

const note = (key: string, value: string) => ({ annotations: { [`kube-vip.io/${key}`]: value } });
const addresses = 'kube-vip.io/loadbalancerIPs';

const settings = {
  svc_enable: 'true',
  svc_election: 'true',
  svc_ipam: 'true',
  enable_service_security: 'true',
};

describe('bad input', { skip: whySkipped() }, () => {
  const stage = stageOf({ controlPlanes: 2, prepare });
  const { vip } = stage;

  async function prepare({ cluster, node }: Stage): Promise<void> {
    await cluster.api.client.create('/api/v1/namespaces/kube-system/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kubevip', namespace: 'kube-system' },
      data: {
        [`range-${namespace}`]: `${vip(1)}-${vip(4)}`,
        'cidr-broken': '10.0.0.0/99',
        'cidr-words': 'ten addresses',
        'range-backwards': '10.0.0.9-10.0.0.1',
        'range-mixed': '10.0.0.1-2001:db8::1',
        'search-order': 'sideways',
      },
    });
    await cluster.startDaemon(node, stage.defaults({ env: settings })).waitReady();
  }

  /** The Event, which is in the log as well. */
  async function told(service: string, reason: string, field: string): Promise<string> {
    const event = await waitFor(
      async () =>
        (await stage.objects.events(service)).find(
          (each) => each.reason === reason && each.message.startsWith(field),
        ),
      {
        what: `${reason} ${field} about ${service}`,
        timeoutMs: 60_000,
        detail: stage.tails,
      },
    );
    const quoted = JSON.stringify(event.message).slice(1, -1);
    const isLogged = (line: string): boolean =>
      (line.includes(event.message) || line.includes(quoted)) && line.includes(`${namespace}/${service}`);
    await waitFor(() => stage.cluster.daemon(stage.node).log().split('\n').some(isLogged), {
      what: `a line in the log: ${event.message}`,
    });
    return event.message;
  }

  const rows = (): readonly Row[] => [
    {
      what: 'an annotation with no address in it',
      wish: { vip: '10.0.0.300' },
      ...{ reason: 'InvalidAddress', field: addresses },
    },
    {
      what: 'an address that nobody can have',
      wish: { vip: '224.0.0.1' },
      ...{ reason: 'InvalidAddress', field: addresses },
    },
    {
      what: 'one bad address of two',
      wish: { vip: `${vip(2)},1.2.3` },
      ...{ reason: 'InvalidAddress', field: addresses, isServed: true },
    },
    {
      what: 'a name without address',
      wish: { vip: 'nobody.invalid' },
      ...{ reason: 'NameNotResolved', field: addresses },
    },
    {
      what: 'spec.loadBalancerIP with no address in it',
      wish: { spec: { loadBalancerIP: '10.0.0.300' } },
      ...{ reason: 'MalformedAddress', field: 'spec.loadBalancerIP' },
    },
    {
      what: 'an address outside every pool',
      wish: { vip: vip(7) },
      ...{ reason: 'AddressOutsidePools', field: vip(7), isServed: true },
    },
    {
      what: "the node's own address",
      wish: { vip: stage.node.ipv4 },
      ...{ reason: 'AddressInUse', field: addresses },
    },
    {
      what: "another node's address",
      wish: { vip: stage.cluster.lab.node(1).ipv4 },
      ...{ reason: 'AddressInUse', field: addresses },
    },
    {
      what: 'the control-plane VIP',
      wish: { vip: vip(0) },
      ...{ reason: 'AddressInUse', field: addresses },
    },
    {
      what: 'an interface that is not there',
      wish: { vip: vip(3), ...note('serviceInterface', 'eth9') },
      ...{ reason: 'NoLink', field: 'kube-vip.io/serviceInterface' },
    },
    {
      what: 'a lease for several with the local traffic policy',
      wish: { vip: vip(3), policy: 'Local', ...note('leaseName', 'common') },
      ...{ reason: 'InvalidLeasePolicy', field: 'kube-vip.io/leaseName' },
    },
    {
      what: 'a lease that cannot be',
      wish: { vip: vip(3), ...note('leaseName', 'No Name!') },
      ...{ reason: 'InvalidLeaseName', field: 'kube-vip.io/leaseName' },
    },
    {
      what: 'a source range that is none',
      wish: { vip: vip(3), spec: { loadBalancerSourceRanges: ['10.0.0.0/33'] } },
      ...{ reason: 'InvalidSourceRange', field: 'spec.loadBalancerSourceRanges', isServed: true },
    },
    {
      what: 'another lease than the Service with the same address',
      wish: { vip: vip(1), port: 81, ...note('leaseName', 'apart') },
      ...{ reason: 'LeaseConflict', field: 'kube-vip.io/leaseName', isServed: true },
    },
    {
      what: 'another traffic policy than the Service with the same address',
      wish: { vip: vip(1), port: 81, policy: 'Local' },
      ...{ reason: 'PolicyConflict', field: 'spec.externalTrafficPolicy', isServed: true },
    },
  ];

  it('each mistake is told by Event and log, with its field; the Service beside it never leaves the network', async () => {
    const { cluster, objects, node } = stage;
    await objects.create({ name: 'web', vip: vip(1) }, [node]);
    await cluster.holder(vip(1));
    const watch = await HolderWatch.start(cluster.lab, vip(1));
    for (const [i, { what, wish, reason, field, isServed = false }] of rows().entries()) {
      const name = `bad${i}`;
      await objects.create({ name, ...wish }, [node]);
      await told(name, reason, field);
      const address = wish.vip?.split(',')[0];
      if (address !== undefined && address !== node.ipv4 && address !== vip(0)) {
        const wanted = isServed || address === vip(1);
        await waitFor(async () => (await node.holds(address)) === wanted, {
          what: `${what}: ${address} ${wanted ? 'to be' : 'not to be'} there`,
        });
      }
      await objects.delete(name);
    }
    const { segments } = await watch.stop();
    assert.deepEqual(
      segments.map(({ holders }) => holders),
      [[node.name]],
    );
    await stage.statusIs('web', [vip(1)]);
    await objects.create({ name: 'after' }, [node]);
    await waitFor(async () => (await objects.ingress('after')).length === 1, { what: 'the next Service' });
    assert.equal(cluster.daemon(node).exits.length, 0);
  });

  it('each mistake in the ConfigMap is told with its key and value; the good pool is used', async () => {
    const { cluster, node } = stage;
    const told = async (): Promise<readonly string[]> => {
      const { items } = await cluster.api.client.get<{
        items: readonly { involvedObject: { kind: string }; message: string }[];
      }>('/api/v1/namespaces/kube-system/events');
      return items
        .filter(({ involvedObject }) => involvedObject.kind === 'ConfigMap')
        .map(({ message }) => message);
    };
    for (const [key, value] of [
      ['cidr-broken', '10.0.0.0/99'],
      ['cidr-words', 'ten addresses'],
      ['range-backwards', '10.0.0.9-10.0.0.1'],
      ['range-mixed', '10.0.0.1-2001:db8::1'],
      ['search-order', 'sideways'],
    ] as const) {
      const message = await waitFor(
        async () => (await told()).find((each) => each.startsWith(`${key}: `) && each.includes(value)),
        { what: `an Event about ${key}`, detail: stage.tails },
      );
      const log = cluster.daemon(node).log();
      assert.ok(log.includes(JSON.stringify(message).slice(1, -1)) || log.includes(message), message);
    }
  });
});
