import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  Cluster,
  Dnsmasq,
  ensureComponents,
  ensurePrivilege,
  HolderWatch,
  nameServers,
  waitFor,
  type LeaseTimes,
  type Machine,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const lease: LeaseTimes = { duration: 15, renewDeadline: 10, retryPeriod: 1 };
const name = 'api.example';

describe('a name as control-plane VIP', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let dns: Dnsmasq;

  before(async () => {
    await ensureComponents(nameServers);
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    const { lab } = cluster;
    dns = await Dnsmasq.start(lab.router, { [name]: [lab.plan.vip(0), lab.plan.vip6(0)] });
  });
  after(async () => {
    await cluster.stop();
  });

  const etc = (): Record<string, string> => ({
    'resolv.conf': `nameserver ${cluster.lab.router.ipv4}\noptions timeout:1 attempts:1\n`,
    'nsswitch.conf': 'hosts: files dns\n',
  });

  async function startAll(env: Readonly<Record<string, string>>): Promise<void> {
    await cluster.startDaemons({ lease, env: { address: name, ...env }, options: { etc: etc() } });
  }

  async function stopAll(): Promise<void> {
    for (const node of cluster.lab.controlPlanes) await cluster.daemon(node).stop(25_000);
    await cluster.deleteLease();
  }

  const shown = (node: Machine, vip: string): Promise<string> =>
    node.run('ip', ['-o', 'addr', 'show', 'to', vip]);

  it('CP-140 CP-141 CP-142 it is resolved, renewed, followed on the holder alone, and stays without a resolver', async (t) => {
    const { lab } = cluster;
    const [first, second] = [lab.plan.vip(0), lab.plan.vip(1)];
    await startAll({ dns_mode: 'IPv4' });
    const watches = await Promise.all([first, second].map((vip) => HolderWatch.start(lab, vip)));
    try {
      const holder = await cluster.holder(first);
      assert.match(await shown(holder, first), /deprecated.*valid_lft (60|[1-5]?\d)sec/s);
      assert.deepEqual(await lab.holders(lab.plan.vip6(0)), []);

      const changedAt = Date.now();
      dns.setHosts({ [name]: [second] });
      await cluster.holder(second);
      t.diagnostic(`${Date.now() - changedAt} ms until the new address is up`);
      assert.deepEqual(await lab.holders(second), [holder.name]);
      assert.deepEqual(await lab.holders(first), [holder.name], 'it serves who still has it from DNS');
      assert.match(cluster.daemon(holder).process.log(), /the name of the control-plane VIP has another/);

      // Beyond what any lifetime would let it live.
      await dns.process.stop();
      await waitFor(async () => (await lab.holders(first)).length === 0, {
        what: 'the former address to go',
        timeoutMs: 60_000,
      });
      await waitFor(() => Date.now() - changedAt > 65_000, { what: 'a minute', timeoutMs: 70_000 });
      assert.deepEqual(await lab.holders(second), [holder.name]);
      for (const watch of watches) {
        await watch.flush();
        assert.equal(watch.report().twoHoldersMs, 0);
      }
    } finally {
      for (const watch of watches) await watch.kill();
      await stopAll();
    }
    assert.deepEqual(await lab.holders(second), []);
    dns = await Dnsmasq.start(lab.router, { [name]: [first, lab.plan.vip6(0)] });
  });

  it('CP-144 dual in any case: one address of each family', async () => {
    const { lab } = cluster;
    await startAll({ dns_mode: 'DUAL' });
    const holder = await cluster.holder(lab.plan.vip(0));
    await waitFor(async () => (await lab.holders(lab.plan.vip6(0))).includes(holder.name), {
      what: 'the IPv6 VIP',
    });
    assert.match(await shown(holder, lab.plan.vip6(0)), /\/128 .*valid_lft (60|[1-5]?\d)sec/s);
    await stopAll();
  });

  it('CP-141 the balancer follows it, also on the servers that answer clients directly', async () => {
    const { lab } = cluster;
    const [first, second] = [lab.plan.vip(2), lab.plan.vip(3)];
    dns.setHosts({ [name]: [first] });
    for (const node of lab.controlPlanes) {
      const script = `require('http').createServer((_, answer) => answer.end('${node.name}')).listen(6443, '::', () => console.log('ready'))`;
      await node.start('server', [process.execPath, '-e', script]).waitForLog(/ready/);
    }
    const answering = async (vip: string): Promise<string> => {
      const names = new Set<string>();
      for (let i = 0; i < 8; i++) {
        const { stdout } = await lab.client.tryRun('curl', ['-s', '-m', '2', `http://${vip}:6443/`]);
        names.add(stdout === '' ? 'nobody' : stdout);
      }
      return [...names].toSorted().join();
    };
    await startAll({ lb_enable: 'true', lb_backend: 'nftables', lb_fwdmethod: 'directroute' });
    try {
      await waitFor(async () => (await answering(first)) === 'cp1,cp2', { what: 'both to answer' });
      dns.setHosts({ [name]: [second] });
      await waitFor(async () => (await answering(second)) === 'cp1,cp2', { what: 'both at the new VIP' });
      assert.equal(await answering(first), 'cp1,cp2', 'the former VIP serves on');
    } finally {
      await stopAll();
    }
    for (const node of lab.controlPlanes) assert.doesNotMatch(await shown(node, second), /inet/);
  });

  it('CP-143 a name that does not resolve fails the start, and the message says what to do', async () => {
    const node = cluster.lab.node(0);
    const daemon = cluster.startDaemon(node, {
      lease,
      env: { address: 'nowhere.example' },
      options: { etc: etc(), supervise: false },
    });
    daemon.process.child.ref();
    const exit = await daemon.process.untilExit();
    assert.equal(exit.code, 1);
    assert.match(
      daemon.process.log(),
      /^Error: address: no VIP for nowhere\.example .*ENOTFOUND.*; add the name to DNS/m,
    );
  });
});
