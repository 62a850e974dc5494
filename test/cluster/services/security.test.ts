import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, Prober, waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();
const settings = {
  cp_enable: 'false',
  address: '',
  svc_enable: 'true',
  enable_service_security: 'true',
  egress_withnftables: 'false',
};
/** Where the lab's responders listen, UDP. */
const responderPort = 7007;

describe('service security', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let node: Machine;
  const vip = (n: number): string => cluster.lab.plan.vip(n);
  const spec = (port: number, sources?: readonly string[]): object => ({
    ports: [{ name: 'main', port, protocol: 'UDP' }],
    ...(sources === undefined ? {} : { loadBalancerSourceRanges: sources }),
  });

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    objects = await Objects.in(cluster);
    await cluster.startResponders();
    node = cluster.lab.node(0);
    await cluster.startDaemons({ env: settings });
  });
  after(async () => {
    await cluster.stop();
  });

  const present = (address: string): Promise<unknown> =>
    waitFor(() => node.holds(address), { what: `${address} to appear`, everyMs: 10 });
  const tables = async (): Promise<string> => node.run('nft', ['list', 'tables']);

  /** Does the responder answer at this address? Waits for either. */
  async function becomes(address: string, answered: boolean): Promise<void> {
    const prober = await Prober.start(cluster.lab.client, address, { port: responderPort, intervalMs: 20 });
    try {
      let before = 0;
      await waitFor(
        () => {
          const { answered: now } = prober.live;
          const isAnswered = now > before;
          before = now;
          return isAnswered === answered;
        },
        { what: `${address} to ${answered ? '' : 'not '}answer`, everyMs: 300 },
      );
    } finally {
      await prober.kill();
    }
  }

  it("SVC-32 the Service's port answers, ICMP does not, and the opt-out leaves the VIP alone", async () => {
    await objects.create({ name: 'web', vip: vip(1), spec: spec(responderPort) }, [node]);
    const annotations = { 'kube-vip.io/ignore-service-security': 'true' };
    await objects.create({ name: 'open', vip: vip(2), annotations, spec: spec(responderPort) }, [node]);
    await Promise.all([present(vip(1)), present(vip(2))]);
    await becomes(vip(1), true);
    assert.equal(await cluster.lab.client.ping(vip(1)), false);
    assert.equal(await cluster.lab.client.ping(vip(2)), true);
  });

  it('SVC-16 SVC-32 an edit of ports or source ranges is in force', async () => {
    await objects.patch('web', { spec: spec(9) });
    await becomes(vip(1), false);
    await objects.patch('web', { spec: spec(responderPort, ['203.0.113.0/24']) });
    await becomes(vip(1), false);
    await objects.patch('web', { spec: spec(responderPort, [`${cluster.lab.client.ipv4}/32`]) });
    await becomes(vip(1), true);
  });

  it('SVC-32 a killed daemon leaves the rules, a stopped one none', async () => {
    const daemon = cluster.daemon(node);
    daemon.halt();
    await daemon.kill();
    assert.match(await tables(), /table ip kube-vip-guard/);
    assert.equal(await cluster.lab.client.ping(vip(1)), false);
    daemon.startAgain();
    await daemon.waitReady();
    await present(vip(1));
    await becomes(vip(1), true);
    assert.equal(await cluster.lab.client.ping(vip(1)), false);
    await daemon.stop();
    assert.equal(await node.holds(vip(1)), false);
    assert.equal(await tables(), '');
  });

  it('rules that a killed daemon left are removed by one without service security', async () => {
    const guarding = cluster.startDaemon(node, { env: settings });
    await guarding.waitReady();
    await present(vip(1));
    guarding.halt();
    await guarding.kill();
    const daemon = cluster.startDaemon(node, { env: { ...settings, enable_service_security: 'false' } });
    await daemon.waitReady();
    await waitFor(() => cluster.lab.client.ping(vip(1)), { what: 'the VIP to answer ICMP' });
    assert.equal(await tables(), '');
    await daemon.stop();
  });
});
