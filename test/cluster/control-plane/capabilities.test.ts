import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';
import { mayGoFirst, realTimeThreads } from '../../../lab/proc.ts';

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

  it('with SYS_NICE what a lease brings goes before other work, where it may, and for a moment only', async () => {
    const env = { vip_loglevel: '-4' };
    await cluster.withDaemon(node, { env, options: { wrapper: withNice } }, async (daemon) => {
      const said = mayGoFirst()
        ? /VIPs that changed hands went before other work/
        : /VIPs that change hands wait for processors/;
      await waitFor(() => said.test(daemon.log()), {
        what: 'the end of what is urgent',
        timeoutMs: 15_000,
        detail: () => daemon.process.tail(),
      });
      assert.deepEqual(realTimeThreads(daemon.process.pid), []);
    });
    await cluster.deleteLease();
  });
});
