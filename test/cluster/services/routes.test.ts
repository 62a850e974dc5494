import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Monitor, waitFor, type Machine } from '../../../lab/index.ts';
import type { ServiceWish } from './objects.ts';
import { servicesOnly, stageOf, whySkipped } from './stage.ts';

/** What `ip route` finds in a table, sorted. */
async function routes(node: Machine, table = 198): Promise<readonly string[]> {
  const found: string[] = [];
  for (const family of ['-4', '-6']) {
    const args = [family, '-N', '-o', 'route', 'show', 'table', String(table)];
    // A table in which nothing was ever put does not exist.
    const { code, stdout } = await node.tryRun('ip', args);
    if (code === 0) found.push(...stdout.split('\n').map((line) => line.trim()));
  }
  return found.filter((line) => line !== '').sort();
}

describe('Services in routing-table mode', { skip: whySkipped() }, () => {
  const stage = stageOf({ controlPlanes: 2 });
  const { vip } = stage;
  let created: string[] = [];

  afterEach(async () => {
    const { daemons, nodes, objects } = stage;
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    for (const node of nodes) assert.deepEqual(await routes(node), [], `${node.name} after SIGTERM`);
    for (const name of created) await objects.delete(name);
    created = [];
  });

  const start = (env: Readonly<Record<string, string>> = {}): Promise<unknown> =>
    stage.cluster.startDaemons(
      stage.defaults({ env: { ...servicesOnly, vip_arp: 'false', vip_routingtable: 'true', ...env } }),
    );

  async function serve(wish: ServiceWish, on: readonly Machine[]): Promise<void> {
    created.push(wish.name);
    await stage.objects.create(wish, on);
  }

  /** One digit a node: has it this VIP's route? */
  const routed = async (address: string): Promise<string> => {
    const found = await Promise.all(stage.nodes.map((node) => routes(node)));
    return found.map((lines) => (lines.some((line) => line.startsWith(`${address} `)) ? '1' : '0')).join('');
  };

  const becomes = (address: string, wanted: string | RegExp): Promise<unknown> =>
    waitFor(
      async () => {
        const now = await routed(address);
        return typeof wanted === 'string' ? now === wanted : wanted.test(now);
      },
      {
        what: `${address} routed on ${String(wanted)}`,
        timeoutMs: 60_000,
        everyMs: 30,
        detail: stage.tails,
      },
    );

  it('RT-01 RT-02 RT-03 RT-08 each qualifying node has a route and no address; it follows the endpoints and goes on exit', async () => {
    const { nodes, objects } = stage;
    await start();
    await serve({ name: 'local', vip: vip(1), policy: 'Local' }, nodes.slice(0, 1));
    await serve({ name: 'all', vip: vip(2) }, nodes.slice(0, 1));
    await becomes(vip(1), '10');
    await becomes(vip(2), '11');
    const [first] = nodes;
    assert.ok(first);
    assert.deepEqual(
      await routes(first),
      [1, 2].map((n) => `${vip(n)} dev eth0 proto 248`),
    );
    for (const node of nodes)
      for (const each of [vip(1), vip(2)]) assert.equal(await node.holds(each), false);
    await stage.statusIs('local', [vip(1)]);
    assert.equal(await objects.leaseHolder('plndr-svcs-lock', 'kube-system'), undefined);
    await objects.setEndpoints('all', []);
    await becomes(vip(2), '00');
    await objects.setEndpoints('all', nodes);
    await becomes(vip(2), '11');
    await objects.deleteEndpoints('all');
    await becomes(vip(2), '00');
    await objects.setEndpoints('all', nodes);
    await becomes(vip(2), '11');
  });

  it('RT-01 table, protocol and type are as set', async () => {
    const { nodes } = stage;
    await start({ vip_routingtableid: '77', vip_routingprotocol: '99', vip_routingtabletype: '2' });
    await serve({ name: 'web', vip: vip(1) }, nodes);
    const [first] = nodes;
    assert.ok(first);
    const found = await waitFor(async () => (await routes(first, 77)).at(0), { what: 'the route' });
    assert.equal(found, `2 ${vip(1)} dev eth0 proto 99 scope 254`);
    assert.deepEqual(await routes(first), []);
  });

  it('RT-04 with the common lease only its holder has the routes; the other takes over', async () => {
    const { cluster, nodes, objects } = stage;
    await start({ vip_leaderelection: 'true' });
    await serve({ name: 'one', vip: vip(1) }, nodes);
    await serve({ name: 'two', vip: vip(2) }, nodes);
    await becomes(vip(1), /^(10|01)$/);
    const before = await routed(vip(1));
    await becomes(vip(2), before);
    const holder = nodes[before.indexOf('1')];
    assert.ok(holder);
    assert.equal(await objects.leaseHolder('plndr-svcs-lock', 'kube-system'), holder.name);
    await cluster.daemon(holder).stop();
    await becomes(vip(1), before === '10' ? '01' : '10');
  });

  it('RT-04 with a lease for each Service its holder has the route', async () => {
    const { nodes, objects } = stage;
    await start({ svc_election: 'true' });
    await serve({ name: 'one', vip: vip(1) }, nodes);
    await becomes(vip(1), /^(10|01)$/);
    const holder = nodes[(await routed(vip(1))).indexOf('1')];
    assert.equal(await objects.leaseHolder('kubevip-one'), holder?.name);
  });

  it('after a kill -9 the routes of Services that are gone, or are others to carry, are removed; no other is touched', async () => {
    const { nodes, objects } = stage;
    const [first, second] = nodes;
    assert.ok(first !== undefined && second !== undefined);
    await start();
    await serve({ name: 'gone', vip: vip(1) }, nodes);
    await serve({ name: 'moved', vip: vip(2), policy: 'Local' }, [first]);
    await serve({ name: 'stays', vip: vip(3) }, nodes);
    const spec = { loadBalancerClass: 'example.com/other' };
    await serve({ name: 'other', vip: vip(4), spec }, nodes);
    for (const address of [vip(1), vip(3)]) await becomes(address, '11');
    await becomes(vip(2), '10');
    for (const daemon of stage.daemons) {
      daemon.halt();
      await daemon.kill();
    }
    const foreign = [`${vip(4)}/32`, '192.0.2.16/28'].map(
      (to) => `route add ${to} dev eth0 table 198 proto 248`,
    );
    await first.ip(...foreign, 'route add 192.0.2.9/32 dev eth0 table 198 proto 99');
    await objects.delete('gone');
    created.splice(created.indexOf('gone'), 1);
    await objects.setEndpoints('moved', [second]);
    const monitor = await Monitor.start(first, 'route');
    for (const daemon of stage.daemons) daemon.startAgain();
    await becomes(vip(1), '00');
    await becomes(vip(2), '01');
    const deleted = (await monitor.deleted()).map((line) => line.split(' ')[1]);
    assert.deepEqual(deleted.sort(), [vip(1), vip(2)]);
    for (const to of [vip(3), vip(4), '192.0.2.9', '192.0.2.16/28'])
      assert.ok(
        (await routes(first)).some((line) => line.startsWith(`${to} `)),
        to,
      );
    await first.ip(...foreign.map((line) => line.replace(' add ', ' del ')), 'route del 192.0.2.9 table 198');
  });

  it('RT-07 the cleaning takes stale routes only: those of Services and of the control plane stay', async () => {
    const { cluster, nodes } = stage;
    const [first] = nodes;
    assert.ok(first);
    for (const node of nodes) await node.ip('route add 192.0.2.16/28 dev eth0 table 198 proto 248');
    await serve({ name: 'one', vip: vip(1) }, nodes);
    const monitor = await Monitor.start(first, 'route');
    await start({
      ...{ cp_enable: 'true', address: vip(0), vip_cleanroutingtable: 'true' },
      kubernetes_addr: `http://${cluster.lab.api.ipv4}:${cluster.api.port}`,
      // A machine that stands still makes no API server dead.
      control_plane_health_check_timeout_seconds: '20',
    });
    await becomes(vip(0), '11');
    await becomes(vip(1), '11');
    await becomes('192.0.2.16/28', '00');
    const deleted = await monitor.deleted();
    assert.deepEqual(deleted.length, 1, deleted.join('\n'));
    assert.deepEqual([await routed(vip(0)), await routed(vip(1))], ['11', '11']);
  });
});
