import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
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
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const lease: LeaseTimes = { duration: 8, renewDeadline: 5, retryPeriod: 1 };
const env = { address: 'api.example', vip_ddns: 'true' };

describe('a control-plane VIP from DHCP', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let server: Dnsmasq;

  before(async () => {
    await ensureComponents(nameServers);
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    const { plan, router } = cluster.lab;
    server = await Dnsmasq.start(router, {}, [
      `--dhcp-range=${plan.vip(10)},${plan.vip(19)},2m`,
      `--dhcp-leasefile=${path.join(router.dir, 'dhcp.leases')}`,
      // Its leases are two minutes at least; half of that is long to wait for a renewal.
      ...[
        '--dhcp-option=option:T1,12',
        '--domain=example',
        '--dhcp-authoritative',
        '--no-ping',
        '--log-dhcp',
      ],
    ]);
  });
  after(async () => {
    await cluster.stop();
  });

  /** What the server has given: time, hardware address, address, name, client identifier. */
  const leases = (): string => readFileSync(path.join(cluster.lab.router.dir, 'dhcp.leases'), 'utf8');
  const count = (pattern: RegExp): number => [...server.process.log().matchAll(pattern)].length;

  it('CP-145 CP-146 CP-149 the holder is given the VIP by its name, renews it, passes it on and gives it back', async () => {
    const { lab } = cluster;
    await cluster.startDaemons({ lease, env, options: { supervise: false } });
    const [, vip = ''] = await server.process.waitForLog(/DHCPACK\(eth0\) (\S+) /);
    const holder = await cluster.holder(vip);
    const watch = await HolderWatch.start(lab, vip);
    try {
      // 61:70:69 is "api".
      assert.match(leases(), new RegExp(`^\\d+ ${holder.mac} ${vip} api 61:70:69$`, 'm'));
      assert.match(server.process.log(), /client provides name: api\n/);
      assert.match(await holder.run('ip', ['-o', 'addr', 'show', 'to', vip]), /\/32 .*valid_lft \d{1,2}sec/s);

      const before = count(/DHCPACK\(eth0\)/g);
      await waitFor(() => count(/DHCPACK\(eth0\)/g) > before, { what: 'a renewal', timeoutMs: 80_000 });
      assert.equal(count(/DHCPDISCOVER\(eth0\)/g), 1);

      cluster.daemon(holder).signal('SIGKILL');
      const next = await waitFor(async () => (await lab.holders(vip)).find((name) => name !== holder.name), {
        what: 'the other node to have the same VIP',
        timeoutMs: 60_000,
      });
      await watch.flush();
      assert.equal(watch.report().twoHoldersMs, 0);
      const last = lab.controlPlanes.find(({ name }) => name === next);
      assert.ok(last !== undefined);
      await cluster.daemon(last).stop(25_000);
      await server.process.waitForLog(new RegExp(`DHCPRELEASE\\(eth0\\) ${vip} `));
      assert.equal(leases().trim(), '');
      assert.deepEqual(await lab.holders(vip), []);
    } finally {
      await watch.kill();
      await cluster.deleteLease();
    }
  });

  it('CP-147 without a DHCP server the node gives the lease up after its attempts', async () => {
    await server.process.stop();
    const node = cluster.lab.node(0);
    const daemon = cluster.startDaemon(node, { lease, env: { ...env, dhcp_backoff_attempts: '1' } });
    await daemon.process.waitForLog(/ERROR no VIP from DHCP: this node gives the lease up/, 60_000);
    await daemon.process.waitForLog(/lost the control-plane VIP.*resigned/);
    await daemon.process.waitForLog(/holds the control-plane VIP.*sinceLossMs/, 60_000);
    await daemon.stop(25_000);
  });
});
