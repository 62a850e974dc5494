import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  Cluster,
  ensurePrivilege,
  waitFor,
  type Daemon,
  type LabProcess,
  type Machine,
} from '../../../lab/index.ts';
import { tracesOn, type Traces } from './traces.ts';

const refused = ensurePrivilege();
type Env = Readonly<Record<string, string>>;

const translating: Env = { lb_enable: 'true', lb_backend: 'nftables', lb_fwdmethod: 'masquerade' };
const directReturn: Env = { ...translating, lb_fwdmethod: 'directroute' };
const off: Env = { lb_enable: 'false' };

/** One run of the daemon, not restarted, and its own part of the node's log. */
class Run {
  readonly daemon: Daemon;
  readonly said: () => string;

  constructor(cluster: Cluster, node: Machine, env: Env) {
    const file = path.join(node.dir, 'kube-vip.log');
    const from = existsSync(file) ? statSync(file).size : 0;
    this.daemon = cluster.startDaemon(node, { env, options: { supervise: false } });
    this.said = () => readFileSync(file).subarray(from).toString();
  }
}

/** How the balancer starts: with bad input, after a crash, with other settings than before. The kernel is the judge. */
describe('the balancer starts', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let node: Machine;
  let other: Machine;
  let vip: string;
  let clean: Traces;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    [node, other] = [cluster.lab.node(0), cluster.lab.node(1)];
    vip = cluster.lab.plan.vip(0);
    clean = await traces();
  });
  beforeEach(async () => {
    await cluster.deleteLease();
    assert.deepEqual(await traces(), clean);
  });
  afterEach(async () => {
    // Of a test that failed before its end.
    for (const daemon of cluster.daemons.values()) if (daemon.process.alive) await daemon.stop();
  });
  after(async () => {
    await cluster.stop();
  });

  const traces = (on = node): Promise<Traces> =>
    tracesOn(on, [vip, cluster.lab.plan.vip(1), cluster.lab.plan.vip6(0)]);
  const start = (env: Env): Run => new Run(cluster, node, env);
  const rules = (): Promise<string> => node.run('nft', ['list', 'ruleset']);

  async function refusal(env: Env): Promise<string> {
    const { daemon, said } = start(env);
    await waitFor(() => daemon.exits.length > 0, { what: 'the end of the process', detail: said });
    assert.equal(daemon.exits[0]?.code, 1, said());
    return said();
  }

  /** Runs until it holds the VIP and has rules for it. */
  async function balancing(env: Env, address = vip): Promise<Run> {
    const run = start(env);
    await waitFor(async () => (await node.holds(address)) && (await rules()).includes(address), {
      what: 'the rules',
      detail: run.said,
    });
    return run;
  }
  async function listen(host: string, port: number, before = ''): Promise<LabProcess> {
    // Probes and clients may go away with a reset, which must not end it.
    const script = `require('net').createServer((s)=>s.on('error',()=>{}).end('host')).listen(${port},'${host}',()=>console.log('ready'))`;
    const server = node.start(`server-${port}`, [
      'sh',
      '-c',
      `${before} exec "$0" -e "$1"`,
      process.execPath,
      script,
    ]);
    await server.waitForLog(/ready/);
    return server;
  }

  describe('with bad input', () => {
    it('an unknown scheduler is refused: the words are named', async () => {
      const text = await refusal({ ...translating, lb_scheduler: 'fastest' });
      assert.match(text, /lb_scheduler/);
      assert.match(text, /rr, wrr, lc, wlc, sh, mh/);
      assert.deepEqual(await traces(), clean);
    });

    it('CP-162 an unknown method is taken for local, with a warning: no rules, and nothing stays', async () => {
      const { daemon, said } = start({ ...translating, lb_fwdmethod: 'teleport' });
      // No API server is on this node: it gives the VIP up again as soon as it has found that out.
      await waitFor(() => said().includes('VIP is on its link'), { what: 'the VIP', detail: said });
      assert.match(said(), /WARN .*teleport/);
      assert.deepEqual((await traces()).tables, []);
      assert.equal((await daemon.stop()).code, 0);
      assert.deepEqual(await traces(), clean);
    });

    it('a service of this node that listens on the VIP and its port is named, and the start refused', async () => {
      await node.run('sysctl', ['-qw', 'net.ipv4.ip_nonlocal_bind=1']);
      const server = await listen(vip, 443);
      try {
        const text = await refusal({ ...translating, lb_port: '443' });
        assert.match(text, new RegExp(`lb_port: ${vip}:443 is in use: a service of this node listens there`));
        assert.deepEqual(await traces(), clean);
      } finally {
        await server.kill();
      }
    });

    it('a service on that port of all addresses is warned of, keeps its connections and loses those to the VIP', async () => {
      const server = await listen('::', 443);
      try {
        const { daemon, said } = await balancing({ ...translating, lb_port: '443' });
        assert.match(said(), /WARN lb_port: port 443 is in use: .*listens on \[::\]:443/);
        const own = await cluster.lab.client.tryRun('curl', ['-s', '--http0.9', `http://${node.ipv4}:443/`]);
        assert.equal(own.stdout, 'host');
        await daemon.stop();
        assert.deepEqual(await traces(), clean);
      } finally {
        await server.kill();
      }
    });

    it('an IPv6 VIP for which there are IPv4 nodes only is said to be without a backend, and left alone', async () => {
      const vip6 = cluster.lab.plan.vip6(0);
      for (const each of [node, other]) {
        const addresses = [{ type: 'InternalIP', address: each.ipv4 }];
        await cluster.api.client.patch(`/api/v1/nodes/${each.name}/status`, { status: { addresses } });
      }
      const server = await listen('::', cluster.api.port);
      try {
        const { daemon, said } = await balancing({
          ...translating,
          address: `${vip},${vip6}`,
          vip_skipdad: 'true',
        });
        const message = /WARN the VIP is not balanced: no control-plane node has an IPv6 InternalIP/;
        await waitFor(() => message.test(said()), { what: 'the message' });
        assert.equal((await rules()).includes(vip6), false);
        const url = `http://[${vip6}]:${cluster.api.port}/`;
        const answer = await cluster.lab.client.run('curl', ['-s', '--http0.9', '--max-time', '5', url]);
        assert.equal(answer, 'host', 'the API server of the holder answers');
        const status = JSON.parse((await daemon.http('/status'))?.body ?? '{}') as {
          readonly balancer?: {
            readonly virtualServers: readonly { readonly vip: string; readonly reason?: string }[];
          };
        };
        const found = status.balancer?.virtualServers.find((each) => each.vip === vip6);
        assert.match(found?.reason ?? '', /IPv6 InternalIP/);
        await daemon.stop();
        assert.deepEqual(await traces(), clean);
      } finally {
        await server.kill();
        for (const each of [node, other]) await cluster.setNodeReady(each, true);
      }
    });
  });

  it('when the last control-plane node goes, the API server of the holder answers at once', async () => {
    const server = await listen('::', cluster.api.port);
    const label = (value: string | null): Promise<unknown[]> =>
      Promise.all(
        [node, other].map(({ name }) =>
          cluster.api.client.patch(`/api/v1/nodes/${name}`, {
            metadata: { labels: { 'node-role.kubernetes.io/control-plane': value } },
          }),
        ),
      );
    // Whoever answers has not waited for the end of it.
    const { daemon, said } = await balancing({ ...translating, lb_drain_seconds: '600' });
    try {
      await label(null);
      await waitFor(() => said().includes('the VIP is not balanced'), { what: 'the message', detail: said });
      const url = `http://${vip}:${cluster.api.port}/`;
      const asked = ['-s', '--http0.9', '--max-time', '1', url];
      await waitFor(async () => (await cluster.lab.client.tryRun('curl', asked)).stdout === 'host', {
        what: 'the API server of the holder to answer',
        detail: () => `${said()}\n${server.tail()}`,
        hopeless: () => (server.alive ? undefined : 'its server ended'),
      });
    } finally {
      await label('');
      await daemon.stop();
      await server.kill();
    }
  });

  describe('after kill -9', () => {
    it('with the same settings: not a rule is touched, the VIP stays', async () => {
      await (await balancing(translating)).daemon.kill();
      const before = await traces();
      const monitor = node.start('monitor', ['nft', 'monitor']);
      // It says neither that it listens nor that it has read everything.
      const hears = (mark: string): Promise<unknown> =>
        waitFor(
          async () => {
            await node.run('nft', [`add table ip ${mark}; delete table ip ${mark}`]);
            return monitor.log().includes(mark);
          },
          { what: 'nft monitor to listen' },
        );
      try {
        await hears('begin');
        const { daemon, said } = start(translating);
        await daemon.waitReady();
        await waitFor(() => said().includes('this node holds the control-plane VIP'), {
          what: 'the VIP to be held',
        });
        assert.deepEqual(await traces(), before);
        assert.match(
          (await daemon.http('/metrics'))?.body ?? '',
          /^kube_vip_refusals_withheld_total\{by="holder"\} 0$/m,
        );
        await hears('end');
        assert.doesNotMatch(monitor.log(), /kube-vip-lb/);
        await daemon.stop();
        await waitFor(() => monitor.log().includes('kube-vip-lb'), { what: 'the end to be told of' });
        assert.deepEqual(await traces(), clean);
      } finally {
        await monitor.kill();
      }
    });

    it('without a balancer: nothing of it is left', async () => {
      await (await balancing(translating)).daemon.kill();
      const { daemon } = start(off);
      await daemon.waitReady();
      await waitFor(async () => (await traces()).tables.length === 0, { what: 'the rules to go' });
      assert.equal(await node.holds(vip), true);
      await daemon.stop();
      assert.deepEqual(await traces(), clean);
    });

    it('with another VIP and another method: the old ones are gone', async () => {
      await (await balancing(translating)).daemon.kill();
      const next = cluster.lab.plan.vip(1);
      await node.ip(`addr del ${vip}/32 dev eth0`);
      const { daemon } = await balancing({ ...directReturn, address: next }, next);
      await waitFor(async () => !(await rules()).includes(vip), { what: 'rules without the old VIP' });
      await daemon.stop();
      assert.deepEqual(await traces(), clean);
    });

    it('with a backend that this kernel lacks: rules and VIP are gone with the refusal', async (t) => {
      if (existsSync('/proc/net/ip_vs')) {
        t.skip('this kernel has IPVS');
        return;
      }
      await (await balancing(translating)).daemon.kill();
      const text = await refusal({ ...translating, lb_backend: 'ipvs' });
      assert.match(text, /ensure IPVS kernel modules are loaded/);
      assert.deepEqual(await traces(), clean);
    });

    for (const [what, env] of [
      ['without a balancer', off],
      ['as a translating one', translating],
    ] as const)
      it(`a node that answered clients directly (arp_ignore, VIP on lo) is as before, ${what}`, async () => {
        const server = await listen('::', cluster.api.port);
        const holder = new Run(cluster, other, directReturn);
        await waitFor(() => other.holds(vip), { what: 'another holder', detail: holder.said });
        const follower = start(directReturn);
        await waitFor(async () => (await traces()).onLo.includes(vip), {
          what: 'the VIP on lo',
          detail: follower.said,
        });
        assert.deepEqual((await traces()).arp, ['1', '2']);
        await follower.daemon.kill();
        assert.notDeepEqual(await traces(), clean);
        const { daemon, said } = start(env);
        await waitFor(async () => isDeepStrictEqual(await traces(), clean), {
          what: 'everything as it was',
          detail: said,
        });
        await daemon.stop();
        await holder.daemon.stop();
        await server.kill();
      });
  });

  it('a follower of direct return has the VIP on lo as long as its API server listens', async () => {
    const server = await listen('::', cluster.api.port);
    const holder = new Run(cluster, other, directReturn);
    await waitFor(() => other.holds(vip), { what: 'another holder', detail: holder.said });
    const { daemon, said } = start(directReturn);
    const isOnLo = async (): Promise<boolean> => (await traces()).onLo.includes(vip);
    await waitFor(isOnLo, { what: 'the VIP on lo', detail: said });
    await server.kill();
    // Its rules stay: connections that the holder still sends here must neither be refused nor go around.
    await waitFor(async () => isDeepStrictEqual({ ...(await traces()), tables: clean.tables }, clean), {
      what: 'no VIP',
      detail: said,
    });
    const next = await listen('::', cluster.api.port);
    await waitFor(isOnLo, { what: 'the VIP on lo again', detail: said });
    await next.kill();
    await daemon.stop();
    await holder.daemon.stop();
  });
});
