import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();
const settings = { cp_enable: 'false', address: '', svc_enable: 'true', enable_service_security: 'true' };

describe('what a process with Services tells about itself', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let node: Machine;
  const vip = (n: number): string => cluster.lab.plan.vip(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    objects = await Objects.in(cluster);
    node = cluster.lab.node(0);
    await objects.create({ name: 'web', vip: vip(1) }, [node]);
    await objects.create({ name: 'idle', vip: vip(2) }, []);
    await cluster.startDaemons({ env: settings });
    await cluster.holder(vip(1));
  });
  after(async () => {
    await cluster.stop();
  });

  it('OBS-02 SIGUSR1 prints every section with the Services, again and again, and the process goes on', async () => {
    const daemon = cluster.daemon(node);
    for (let n = 1; n <= 3; n++) {
      daemon.signal('SIGUSR1');
      await waitFor(() => daemon.log().split('END OF CONFIGURATION DUMP').length === n + 1, {
        what: `dump ${n}`,
      });
    }
    const text = daemon.log();
    const { metadata } = await objects.get('web');
    const sections = [...text.matchAll(/^--- (.*) ---$/gm)].map(([, title]) => title).slice(0, 9);
    assert.deepEqual(sections, [
      'BASIC CONFIGURATION',
      'BGP CONFIGURATION',
      'ARP/NDP CONFIGURATION',
      'SERVICES CONFIGURATION',
      'KUBERNETES CONFIGURATION (SERVICES/ENDPOINTSLICES)',
      'NETWORK INTERFACES',
      'LEADER ELECTION CONFIGURATION',
      'RUNTIME STATISTICS',
      'NFTABLES CONFIGURATION',
    ]);
    for (const line of [
      `  shop/web (UID ${metadata.uid ?? ''}): ${vip(1)}`,
      `  shop/web: advertised; VIPs ${vip(1)}; lease kube-system/plndr-svcs-lock; 1 endpoints in 1 slices`,
      'EndpointSlices: 2',
      '  table ip kube-vip-guard',
    ])
      assert.ok(text.includes(`${line}\n`), line);
    assert.match(text, /shop\/idle: no-endpoints \(no serving endpoint anywhere\)/);
    assert.equal(daemon.process.alive, true);
  });

  it('OBS-01 the metrics of Services have the names and labels of kube-vip', async () => {
    const annotations = { 'kube-vip.io/leaseName': 'shared' };
    await objects.create({ name: 'bad', vip: vip(3), policy: 'Local', annotations }, [node]);
    const off = { 'kube-vip.io/serviceInterface': 'eth9' };
    await objects.create({ name: 'off', vip: vip(4), annotations: off }, [node]);
    const metrics = async (): Promise<string> => (await cluster.daemon(node).http('/metrics'))?.body ?? '';
    const expected = [
      /^kube_vip_active_services\{namespace="shop"\} 1$/m,
      /^kube_vip_service_reconcile_errors_total\{namespace="shop",name="bad",reason="invalid_config"\} \d+$/m,
      /^kube_vip_service_reconcile_errors_total\{namespace="shop",name="off",reason="new_instance"\} \d+$/m,
      /^kube_vip_service_reconcile_duration_seconds_count\{namespace="shop"\} \d+$/m,
      /^kube_vip_manager_all_services_events\{type="ADDED"\} 4$/m,
      /^kube_vip_leader_election_transitions_total\{lease_name="[^"]*plndr-svcs-lock"\} 1$/m,
      new RegExp(`^kube_vip_is_leader\\{node="${node.name}",lease_name="[^"]*plndr-svcs-lock"\\} 1$`, 'm'),
      /^kube_vip_build_info\{/m,
    ];
    await waitFor(async () => (await metrics()).includes('name="off"'), { what: 'the Services to be seen' });
    const text = await metrics();
    for (const pattern of expected) assert.match(text, pattern);
    await objects.delete('bad');
    await waitFor(async () => !(await metrics()).includes('name="bad"'), { what: 'its series to go' });
  });
});
