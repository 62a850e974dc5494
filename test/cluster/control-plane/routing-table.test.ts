import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, Monitor, waitFor, type Daemon, type Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();

interface RouteEntry {
  readonly dst: string;
  readonly dev?: string;
  readonly protocol?: string;
  readonly type?: string;
  readonly scope?: string;
}

/** What `ip route` finds in a table, both families. */
async function routes(node: Machine, table = 198): Promise<readonly RouteEntry[]> {
  const found: RouteEntry[] = [];
  for (const family of ['-4', '-6']) {
    const args = [family, '-N', '-details', '-json', 'route', 'show', 'table', String(table)];
    const { code, stdout } = await node.tryRun('ip', args);
    // A table in which nothing was ever put does not exist.
    if (code === 0 && stdout.trim() !== '') found.push(...(JSON.parse(stdout) as RouteEntry[]));
  }
  return found;
}

const isRouted = async (node: Machine, vip: string, table = 198): Promise<boolean> =>
  (await routes(node, table)).some(({ dst }) => dst === vip);

/** Address and route, both or neither. */
async function serves(node: Machine, vip: string): Promise<boolean | 'half'> {
  const [holds, routed] = await Promise.all([node.holds(vip), isRouted(node, vip)]);
  return holds === routed ? holds : 'half';
}

const until = (node: Machine, vip: string, wanted: boolean, timeoutMs = 60_000): Promise<true> =>
  waitFor(async () => (await serves(node, vip)) === wanted, {
    what: `${vip} ${wanted ? 'to be on' : 'to be gone from'} ${node.name}`,
    timeoutMs,
    everyMs: 20,
  });

/** A check has its period to succeed, and the first that does not costs the VIP: a busy machine needs some seconds. */
const mode = { vip_arp: 'false', vip_routingtable: 'true', backend_health_check_interval: '3' };

describe('the control plane in routing-table mode', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let node: Machine;
  let vip: string;
  let vip6: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    node = cluster.lab.node(0);
    [vip, vip6] = [cluster.lab.plan.vip(0), cluster.lab.plan.vip6(0)];
  });
  after(async () => {
    await cluster.stop();
  });
  afterEach(async () => {
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.stop()));
    await cluster.api.bringBack();
    await node.tryRun('ip', ['route', 'flush', 'table', '198']);
    await node.tryRun('ip', ['-6', 'route', 'flush', 'table', '198']);
  });

  /** With `kubernetes_addr`: the embedded API server is on no node. */
  function start(env: Readonly<Record<string, string>> = {}, options = {}): Daemon {
    const server = `http://${cluster.lab.api.ipv4}:${cluster.api.port}`;
    const defaults = { ...mode, kubernetes_addr: server, address: `${vip},${vip6}`, vip_skipdad: 'true' };
    return cluster.startDaemon(node, { env: { ...defaults, ...env }, options });
  }

  it('CP-192 kubernetes_addr is asked for both families; CP-127 (routing table) SIGTERM leaves neither address nor route', async () => {
    const daemon = start();
    for (const each of [vip, vip6]) await until(node, each, true);
    const [first] = await routes(node);
    assert.equal(first?.dev, 'eth0');
    assert.equal(first.protocol, '248');
    assert.equal(first.type, '1');
    assert.equal(await cluster.leaseHolder(), undefined);
    await cluster.api.takeAway();
    for (const each of [vip, vip6]) await until(node, each, false);
    await cluster.api.bringBack();
    for (const each of [vip, vip6]) await until(node, each, true);
    await daemon.stop();
    for (const each of [vip, vip6]) assert.equal(await serves(node, each), false);
  });

  it('CP-189 each check lets watchers of the table see the route again, with the other realm', async () => {
    start();
    await until(node, vip, true);
    const monitor = node.start('monitor', ['ip', '-o', 'monitor', 'route']);
    const seen = (family: RegExp): readonly string[] =>
      monitor
        .log()
        .split('\n')
        .filter((line) => family.test(line) && line.includes('table 198'));
    await waitFor(() => seen(/^10\./).length >= 3 && seen(/^fd/).length >= 3, { what: 'three checks' });
    await monitor.stop();
    const realms = seen(/^10\./).map((line) => /realm (\d)/.exec(line)?.[1]);
    assert.ok(
      realms.every((realm, i) => i === 0 || realm !== realms[i - 1]),
      realms.join(),
    );
    assert.deepEqual(new Set(realms), new Set(['1', '2']));
    assert.ok(!monitor.log().includes('Deleted'), monitor.log());
  });

  it('CP-190 the route is in the table, and has the protocol and the type, that are set', async () => {
    start({ vip_routingtableid: '77', vip_routingprotocol: '99', vip_routingtabletype: '2' });
    const found = await waitFor(
      async () => {
        const all = await routes(node, 77);
        return all.length === 2 && all;
      },
      { what: 'both routes' },
    );
    assert.deepEqual(
      found.map(({ dst, protocol, type }) => `${type ?? ''} ${dst} ${protocol ?? ''}`),
      [`2 ${vip} 99`, `2 ${vip6} 99`],
    );
    // Linux takes no wider scope for a local route.
    assert.equal(found[0]?.scope, '254');
    assert.deepEqual(await routes(node), []);
  });

  it('a route or an address that somebody deletes is back at once', async () => {
    start({ backend_health_check_interval: '60' });
    await until(node, vip, true);
    // Long before the next check, or the next look at everything after 30 s.
    await node.ip(`route del ${vip} table 198 proto 248`);
    await until(node, vip, true, 10_000);
    await node.deleteAddress(vip);
    await until(node, vip, true, 10_000);
  });

  it('CP-191 foreign routes of our table and protocol vanish after start, those of both families of ours stay', async () => {
    await node.ip(
      'route add 192.0.2.7/32 dev eth0 table 198 proto 248',
      'route add 192.0.2.8/32 dev eth0 table 198 proto 4',
      'route add 192.0.2.9/32 dev eth0 table 199 proto 248',
    );
    await node.run('ip', [
      '-6',
      'route',
      'add',
      '2001:db8::7/128',
      'dev',
      'eth0',
      'table',
      '198',
      'proto',
      '248',
    ]);
    const monitor = await Monitor.start(node, 'route');
    start({ vip_cleanroutingtable: 'true' });
    await until(node, vip6, true);
    await waitFor(
      async () => !(await isRouted(node, '192.0.2.7')) && !(await isRouted(node, '2001:db8::7')),
      { what: 'the foreign routes to go', timeoutMs: 60_000 },
    );
    const deleted = await monitor.deleted();
    assert.equal(deleted.length, 2, deleted.join('\n'));
    for (const each of [vip, vip6]) assert.equal(await serves(node, each), true);
    assert.equal(await isRouted(node, '192.0.2.8'), true);
    assert.equal(await isRouted(node, '192.0.2.9', 199), true);
  });

  it('foreign routes stay without vip_cleanroutingtable; after SIGKILL a healthy node adopts, an unhealthy one sweeps', async () => {
    await node.ip('route add 192.0.2.7/32 dev eth0 table 198 proto 248');
    // Adopted is what the first check finds healthy, while the process is still warming up.
    const daemon = start({ backend_health_check_interval: '6' }, { restartDelayMs: 100 });
    await until(node, vip, true);
    const monitors = [await Monitor.start(node, 'route'), await Monitor.start(node, 'address')];
    await daemon.kill();
    await daemon.waitReady();
    assert.equal(await serves(node, vip), true);
    for (const monitor of monitors) assert.deepEqual(await monitor.deleted(), []);
    await cluster.api.takeAway();
    const started = daemon.starts;
    await daemon.kill();
    await waitFor(() => daemon.starts > started, { what: 'the restart' });
    for (const each of [vip, vip6]) await until(node, each, false);
    assert.equal(await isRouted(node, '192.0.2.7'), true);
    await cluster.api.bringBack();
    for (const each of [vip, vip6]) await until(node, each, true);
  });

  it('after SIGKILL and a start in another mode, or with another table, no route of before is left', async () => {
    for (const other of [{ vip_arp: 'true', vip_routingtable: 'false' }, { vip_routingtableid: '201' }]) {
      const first = start({}, { supervise: false });
      for (const each of [vip, vip6]) await until(node, each, true);
      await first.kill();
      const next = start(other, { supervise: false });
      for (const each of [vip, vip6])
        await waitFor(async () => !(await isRouted(node, each)), {
          what: `the old route to ${each} to go`,
          detail: () => next.process.tail(),
        });
      await waitFor(() => node.holds(vip), { what: 'the VIP', detail: () => next.process.tail() });
      await next.stop();
      assert.equal(await isRouted(node, vip, 201), false);
    }
  });
});

describe('routing-table mode on every node, real API servers', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let vip: string;
  let vip6: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 2 });
    [vip, vip6] = [cluster.lab.plan.vip(0), cluster.lab.plan.vip6(0)];
  });
  after(async () => {
    await cluster.stop();
  });
  afterEach(async () => {
    await Promise.all([...cluster.daemons.values()].map((daemon) => daemon.stop()));
    await cluster.api.bringBack();
  });

  const env = (more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => {
    return { ...mode, address: `${vip},${vip6}`, vip_skipdad: 'true', ...more };
  };

  /** The client reaches an API server at the VIP through this node, whoever else has it. */
  async function answersThrough(node: Machine, address: string): Promise<boolean> {
    const { client } = cluster.lab;
    const six = address.includes(':');
    const target = six ? `${address}/128` : `${address}/32`;
    await client.run('ip', [
      six ? '-6' : '-4',
      'route',
      'replace',
      target,
      'via',
      six ? node.ipv6 : node.ipv4,
    ]);
    const script = 'exec 3<>"/dev/tcp/$1/6443"';
    const { code } = await client.tryRun('bash', ['--norc', '-c', script, 'bash', address], {
      timeoutMs: 10_000,
    });
    return code === 0;
  }

  it('CP-193 the API server comes up after us: the VIP appears without a restart', async () => {
    await cluster.api.takeAway();
    const [node] = cluster.lab.controlPlanes;
    assert.ok(node);
    const daemon = cluster.startDaemon(node, { env: env() });
    await waitFor(() => daemon.log().includes('the local API server is unhealthy'), { what: 'a check' });
    assert.equal(await serves(node, vip), false);
    await cluster.api.bringBack();
    for (const each of [vip, vip6]) await until(node, each, true);
    assert.equal(daemon.starts, 1);
  });

  it('CP-194 with IPv6 and vip_skipdad all nodes have the VIP and accept traffic', async () => {
    await cluster.startDaemons({ env: env() });
    for (const node of cluster.lab.controlPlanes) {
      for (const each of [vip, vip6]) {
        await until(node, each, true);
        await waitFor(() => answersThrough(node, each), {
          what: `an answer of ${each} through ${node.name}`,
        });
      }
      const found = (await node.addresses()).find(({ local }) => local === vip6);
      assert.equal(found?.tentative, undefined);
      assert.equal(found?.['dadfailed'], undefined);
    }
  });

  it('CP-188 address and route are there while the node’s own API server is healthy, and both go when it is not', async () => {
    await cluster.startDaemons({ env: env() });
    const [node, other] = cluster.lab.controlPlanes;
    assert.ok(node && other);
    for (const each of [vip, vip6]) await until(node, each, true);
    await until(other, vip, true);
    await cluster.real.startApiServer(node).kill();
    for (const each of [vip, vip6]) await until(node, each, false);
    assert.equal(await serves(other, vip), true);
    await cluster.api.restartNode(node);
    for (const each of [vip, vip6]) await until(node, each, true);
  });

  it('CP-171 with lb_enable the VIP is there and its connections are balanced', async () => {
    const balanced = env({ address: vip, lb_enable: 'true', lb_port: '7443', lb_fwdmethod: 'masquerade' });
    const [node] = cluster.lab.controlPlanes;
    assert.ok(node);
    const daemon = cluster.startDaemon(node, { env: balanced });
    await until(node, vip, true);
    await waitFor(() => connects(node, vip, 7443), { what: 'an answer at the port of the balancer' });
    await daemon.stop();
    assert.equal(await serves(node, vip), false);
  });

  async function connects(node: Machine, address: string, port: number): Promise<boolean> {
    const { client } = cluster.lab;
    await client.run('ip', ['route', 'replace', `${address}/32`, 'via', node.ipv4]);
    const script = 'exec 3<>"/dev/tcp/$1/$2"';
    const { code } = await client.tryRun('bash', ['--norc', '-c', script, 'bash', address, String(port)], {
      timeoutMs: 10_000,
    });
    return code === 0;
  }
});
