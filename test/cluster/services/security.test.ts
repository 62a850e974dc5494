import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Prober, waitFor } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

const settings = { ...servicesOnly, enable_service_security: 'true', egress_withnftables: 'false' };
/** Where the lab's responders listen, UDP. */
const responderPort = 7007;

describe('service security', { skip: whySkipped() }, () => {
  const stage = stageOf({ responders: true, daemons: { env: settings } });
  const { vip } = stage;
  const spec = (port: number, sources?: readonly string[]): object => ({
    ports: [{ name: 'main', port, protocol: 'UDP' }],
    ...(sources === undefined ? {} : { loadBalancerSourceRanges: sources }),
  });

  const tables = async (): Promise<string> => stage.node.run('nft', ['list', 'tables']);
  const pings = (address: string): Promise<boolean> => stage.cluster.lab.client.ping(address);
  const untilPinged = (address: string): Promise<unknown> =>
    waitFor(() => pings(address), { what: `${address} to answer ICMP`, detail: stage.tails });

  /** Until the responder answers at this address, or so many probes in a row have found no answer. */
  async function becomes(address: string, answered: boolean): Promise<void> {
    const prober = await Prober.start(stage.cluster.lab.client, address, {
      port: responderPort,
      intervalMs: 20,
    });
    try {
      let last = prober.live;
      await waitFor(
        () => {
          const now = prober.live;
          if (now.answered === last.answered) return !answered && now.sent >= last.sent + 25;
          last = now;
          return answered;
        },
        { what: `${address} to ${answered ? '' : 'not '}answer`, detail: stage.tails },
      );
    } finally {
      await prober.kill();
    }
  }

  it("SVC-32 the Service's port answers, ICMP does not, and the opt-out leaves the VIP alone", async () => {
    const { objects, node } = stage;
    await objects.create({ name: 'web', vip: vip(1), spec: spec(responderPort) }, [node]);
    const annotations = { 'kube-vip.io/ignore-service-security': 'true' };
    await objects.create({ name: 'open', vip: vip(2), annotations, spec: spec(responderPort) }, [node]);
    await Promise.all([stage.appears(vip(1)), stage.appears(vip(2))]);
    await becomes(vip(1), true);
    await untilPinged(vip(2));
    assert.equal(await pings(vip(1)), false);
  });

  it('SVC-16 SVC-32 an edit of ports or source ranges is in force', async () => {
    const { cluster, objects } = stage;
    await objects.patch('web', { spec: spec(9) });
    await becomes(vip(1), false);
    await objects.patch('web', { spec: spec(responderPort, ['203.0.113.0/24']) });
    await becomes(vip(1), false);
    await objects.patch('web', { spec: spec(responderPort, [`${cluster.lab.client.ipv4}/32`]) });
    await becomes(vip(1), true);
  });

  it('SVC-32 a killed daemon leaves the rules, a stopped one none', async () => {
    const { cluster, node } = stage;
    const daemon = cluster.daemon(node);
    daemon.halt();
    await daemon.kill();
    assert.match(await tables(), /table ip kube-vip-guard/);
    assert.equal(await pings(vip(1)), false);
    daemon.startAgain();
    await daemon.waitReady();
    await stage.appears(vip(1));
    await becomes(vip(1), true);
    assert.equal(await pings(vip(1)), false);
    await daemon.stop();
    assert.equal(await node.holds(vip(1)), false);
    assert.equal(await tables(), '');
  });

  it('rules that a killed daemon left are removed by one without service security', async () => {
    const { cluster, node } = stage;
    const guarding = cluster.startDaemon(node, stage.defaults({ env: settings }));
    await guarding.waitReady();
    await stage.appears(vip(1));
    guarding.halt();
    await guarding.kill();
    const env = { ...settings, enable_service_security: 'false' };
    const daemon = cluster.startDaemon(node, stage.defaults({ env }));
    await daemon.waitReady();
    await untilPinged(vip(1));
    await waitFor(async () => (await tables()) === '', { what: 'the tables to go', detail: stage.tails });
    await daemon.stop();
  });
});
