import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Cluster,
  ensurePrivilege,
  waitFor,
  type Daemon,
  type DaemonDefaults,
  type Machine,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const lease = { duration: 10, renewDeadline: 6, retryPeriod: 1 };
/** Nobody loses it because a process did not run for a while. */
const longLease = { duration: 30, renewDeadline: 20, retryPeriod: 2 };

describe('trouble on the node of a control-plane VIP', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let node: Machine;
  let other: Machine;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    [node, other] = [cluster.lab.node(0), cluster.lab.node(1)];
    vip = cluster.lab.plan.vip(0);
  });
  after(async () => {
    await cluster.stop();
  });

  async function withDaemon(
    defaults: DaemonDefaults,
    body: (daemon: Daemon) => Promise<void>,
  ): Promise<void> {
    try {
      await cluster.withDaemon(node, { lease, ...defaults }, body);
    } finally {
      await cluster.deleteLease();
    }
  }
  const untilHeld = (on: Machine = node): Promise<unknown> =>
    waitFor(() => on.holds(vip), {
      what: `the VIP on ${on.name}`,
      detail: () => cluster.daemon(on).process.tail(30),
    });
  const untilGone = (on: Machine = node): Promise<unknown> =>
    waitFor(async () => !(await on.holds(vip)), {
      what: `no VIP on ${on.name}`,
      everyMs: 5,
      detail: () => cluster.daemon(on).process.tail(30),
    });

  it('CP-120 CP-121 preservation: the VIP stays after a loss until another node becomes leader', async () => {
    await withDaemon({ env: { vip_preserve_on_leadership_loss: 'true' } }, async (daemon) => {
      await untilHeld();
      await node.cable.blackholeApi(cluster.api.port);
      await waitFor(() => daemon.log().includes('this node lost the control-plane VIP'), {
        what: 'the loss',
      });
      await sleep(1000);
      assert.equal(await node.holds(vip), true);
      await node.cable.restoreApi();
      await cluster.takeLease('somebody-else');
      await untilGone();
    });
  });

  it('CP-131 preservation and SIGTERM: no VIP is left on the node once another leads', async () => {
    await withDaemon({ env: { vip_preserve_on_leadership_loss: 'true' } }, async (daemon) => {
      await untilHeld();
      await cluster.withDaemon(other, { lease }, async (second) => {
        await second.waitReady();
        const exit = await daemon.stop(25_000);
        assert.equal(exit.code, 0);
        assert.equal(await node.holds(vip), false);
        await untilHeld(other);
      });
    });
  });

  it('CP-124 a link down longer than the timeout costs the leadership, a short flap does not', async () => {
    const env = {
      vip_loseleadership: 'true',
      vip_loseleadership_timeout_seconds: '4',
      vip_interface: 'kvtest0',
    };
    await node.ip(
      'link add kvtest0 type veth peer name kvtest1',
      'link set kvtest0 up',
      'link set kvtest1 up',
    );
    try {
      await withDaemon({ lease: longLease, env }, async (daemon) => {
        await untilHeld();
        await node.ip('link set kvtest1 down');
        await sleep(500);
        await node.ip('link set kvtest1 up');
        await sleep(4500);
        assert.equal(await cluster.leaseHolder(), node.name);
        assert.doesNotMatch(daemon.log(), /resigning|lost the control-plane VIP/);
        await node.ip('link set kvtest1 down');
        await waitFor(async () => (await cluster.leaseHolder()) !== node.name, {
          what: 'the lease to be given up',
        });
        assert.equal(await node.holds(vip), false);
        // Down for a while, out of the race for as long, and little longer: all nodes may have lost their switch.
        await sleep(8000);
        assert.equal(await node.holds(vip), false);
        await node.ip('link set kvtest1 up');
        await waitFor(() => node.holds(vip), {
          what: 'the VIP on the link that is up again',
          timeoutMs: 10_000,
        });
      });
    } finally {
      await node.ip('link del kvtest0');
    }
  });

  it('CP-125 a bridge gives up too when it loses its carrier', async () => {
    const env = {
      vip_loseleadership: 'true',
      vip_loseleadership_timeout_seconds: '1',
      vip_interface: 'kvbr0',
    };
    await node.ip(
      'link add kvtest0 type veth peer name kvtest1',
      'link add kvbr0 type bridge',
      'link set kvtest0 master kvbr0',
      'link set kvtest0 up',
      'link set kvtest1 up',
      'link set kvbr0 up',
    );
    try {
      await waitFor(async () => /state UP/.test(await node.run('ip', ['link', 'show', 'kvbr0'])), {
        what: 'the bridge to be up',
      });
      await withDaemon({ env }, async () => {
        await untilHeld();
        await node.ip('link set kvtest1 down');
        await waitFor(async () => (await cluster.leaseHolder()) !== node.name, {
          what: 'the lease to be given up',
        });
        assert.equal(await node.holds(vip), false);
      });
    } finally {
      await node.ip('link del kvbr0', 'link del kvtest0');
    }
  });

  it('the link vanishes and comes back while running: the VIP follows, the process lives', async () => {
    await node.ip(
      'link add kvtest0 type veth peer name kvtest1',
      'link set kvtest0 up',
      'link set kvtest1 up',
    );
    try {
      await withDaemon({ env: { vip_interface: 'kvtest0' } }, async (daemon) => {
        await untilHeld();
        await node.ip('link del kvtest0');
        await sleep(500);
        assert.equal(daemon.process.alive, true);
        await node.ip(
          'link add kvtest0 type veth peer name kvtest1',
          'link set kvtest0 up',
          'link set kvtest1 up',
        );
        await untilHeld();
      });
    } finally {
      await node.tryRun('ip', ['link', 'del', 'kvtest0']);
    }
  });

  it('a dead local API server, with a health check set, makes the holder give up in ARP mode', async () => {
    const health = node.start('health', [
      process.execPath,
      '-e',
      'let ok=true;process.on("SIGUSR2",()=>{ok=false});require("http").createServer((q,s)=>{s.statusCode=ok?200:500;s.end()}).listen(9443,"127.0.0.1",()=>console.log("ready"))',
    ]);
    await health.waitForLog(/ready/);
    const env = {
      control_plane_health_check_address: 'http://127.0.0.1:9443/livez',
      control_plane_health_check_period_seconds: '1',
      control_plane_health_check_failure_threshold: '2',
    };
    try {
      await withDaemon({ env }, async (daemon) => {
        await untilHeld();
        health.signal('SIGUSR2');
        await untilGone();
        // The VIP goes first; the words and the lease follow.
        await waitFor(() => daemon.log().includes('local API server unhealthy'), { what: 'the reason' });
        await waitFor(async () => (await cluster.leaseHolder()) !== node.name, { what: 'a released lease' });
      });
    } finally {
      await health.kill();
    }
  });

  it('two nodes with one name do not both hold: as a rule the one that came last does', async (t: TestContext) => {
    const env = { vip_nodename: 'localhost' };
    const said = /ERROR another process renews this lease under our name/;
    await withDaemon({ lease: longLease, env }, async (first) => {
      await untilHeld();
      await cluster.withDaemon(other, { lease: longLease, env }, async (second) => {
        const both = [first, second];
        // The first one to be told three times gives up. Which one that is depends on who runs when both want to.
        await waitFor(() => both.some((daemon) => said.test(daemon.log())), {
          what: 'one of them to give up',
          detail: () => both.map((daemon) => daemon.process.tail(30)).join('\n'),
        });
        await waitFor(async () => (await cluster.lab.holders(vip)).length === 1, { what: 'one holder' });
        const [holder] = await cluster.lab.holders(vip);
        t.diagnostic(`${holder ?? 'nobody'} of ${node.name}, ${other.name} holds`);
        await sleep(2 * longLease.retryPeriod * 1000);
        assert.deepEqual(await cluster.lab.holders(vip), [holder]);
      });
      await untilHeld();
    });
  });

  it('a second claimant on the wire is logged and counted', async () => {
    await withDaemon({}, async (daemon) => {
      await untilHeld();
      // Again and again, as a host does that really has the address.
      const claim = ['-q', '-c', '1', '-w', '1', '-i', 'eth0', '-U', '-S', vip, vip];
      await waitFor(
        async () => {
          await other.tryRun('arping', claim);
          const { body } = (await daemon.http('/metrics')) ?? { body: '' };
          return /kube_vip_second_claimants_total\{[^}]*\} [1-9]/.test(body);
        },
        { what: 'the counter', detail: () => daemon.process.tail(30) },
      );
      const spoken = new RegExp(`another host claims a VIP.*${other.mac}`);
      await waitFor(() => spoken.test(daemon.log()), { what: 'a line in the log' });
      assert.equal(await node.holds(vip), true);
    });
  });

  for (const [capability, flag] of [
    ['NET_ADMIN', '-net_admin'],
    ['NET_RAW', '-net_raw'],
  ] as const) {
    it(`without ${capability} it refuses to start and names it`, async () => {
      const wrapper = ['setpriv', '--bounding-set', flag, '--inh-caps', flag, '--'];
      await withDaemon({ options: { wrapper } }, async (daemon) => {
        const exit = await daemon.process.untilExit();
        assert.equal(exit.code, 1);
        assert.match(daemon.log(), new RegExp(`missing capability ${capability}`));
        assert.equal(await node.holds(vip), false);
      });
    });
  }
});
