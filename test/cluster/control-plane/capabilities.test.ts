import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();

/** As `capabilities: {add: [NET_ADMIN, NET_RAW], drop: [ALL]}` makes a container that is not privileged. */
const twoOnly = ['setpriv', '--bounding-set=-all,+net_admin,+net_raw', '--inh-caps=-all', '--'];
const withNice = twoOnly.with(1, '--bounding-set=-all,+net_admin,+net_raw,+sys_nice');
const mask = ((1n << 12n) | (1n << 13n)).toString(16).padStart(16, '0');

describe('a container with NET_ADMIN and NET_RAW', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let node: Machine;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    node = cluster.lab.node(0);
    vip = cluster.lab.plan.vip(0);
  });
  after(async () => {
    await cluster.stop();
  });

  const modes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'ARP mode': {},
    'ARP mode with Services, their security, and balancing': {
      svc_enable: 'true',
      enable_service_security: 'true',
      lb_enable: 'true',
    },
    'BGP mode': {
      vip_arp: 'false',
      bgp_enable: 'true',
      bgp_routerid: '192.0.2.1',
      bgp_peers: '10.77.0.1:65000',
    },
    'routing-table mode': { vip_arp: 'false', vip_routingtable: 'true', kubernetes_addr: 'API' },
  };
  for (const [mode, settings] of Object.entries(modes))
    it(`CP-209 is enough in ${mode}`, async () => {
      const server = `http://${cluster.lab.api.ipv4}:${cluster.api.port}`;
      const env = Object.fromEntries(
        Object.entries(settings).map(([name, value]) => [name, value.replace('API', server)]),
      );
      await cluster.withDaemon(node, { env, options: { wrapper: twoOnly } }, async (daemon) => {
        await daemon.waitReady();
        const status = readFileSync(`/proc/${daemon.process.pid}/status`, 'utf8');
        assert.equal(/^CapEff:\s+(\w+)$/m.exec(status)?.[1], mask);
        await waitFor(() => node.holds(vip), {
          what: 'the VIP',
          timeoutMs: 15_000,
          detail: () => daemon.process.tail(),
        });
        assert.doesNotMatch(daemon.log(), /EPERM|EACCES|not permitted|missing capability/);
      });
      assert.equal(await node.holds(vip), false);
      await cluster.deleteLease();
    });

  it('with SYS_NICE its main thread goes before others for two seconds when a lease comes, and no other thread does', async () => {
    // Not every container or user namespace in which tests run may do this.
    const isAllowed = spawnSync('chrt', ['--rr', '1', 'true']).status === 0;
    await cluster.withDaemon(node, { options: { wrapper: withNice } }, async (daemon) => {
      const { pid } = daemon.process;
      await waitFor(() => node.holds(vip), {
        what: 'the VIP',
        timeoutMs: 15_000,
        detail: () => daemon.process.tail(),
      });
      assert.deepEqual(realTimeThreads(pid), isAllowed ? [pid] : []);
      await waitFor(() => realTimeThreads(pid).length === 0, {
        what: 'an ordinary thread',
        timeoutMs: 5_000,
      });
    });
    await cluster.deleteLease();
  });
});

/** Numbers of those threads of a process whose policy (field 41 of /proc/<pid>/stat) is not SCHED_OTHER. */
function realTimeThreads(pid: number): readonly number[] {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  return threads.filter((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38] !== '0';
  });
}
