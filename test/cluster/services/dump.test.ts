import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { servicesOnly, stageOf, whySkipped, type Stage } from './stage.ts';

const END = 'END OF CONFIGURATION DUMP';

describe('what a process with Services tells about itself', { skip: whySkipped() }, () => {
  const stage = stageOf({ prepare, daemons: { env: { ...servicesOnly, enable_service_security: 'true' } } });
  const { vip } = stage;

  async function prepare({ objects, node }: Stage): Promise<void> {
    await objects.create({ name: 'web', vip: vip(1) }, [node]);
    await objects.create({ name: 'idle', vip: vip(2) }, []);
  }

  it('OBS-02 SIGUSR1 prints every section with the Services, again and again, and the process goes on', async () => {
    const { cluster, objects, node } = stage;
    await cluster.holder(vip(1));
    const daemon = cluster.daemon(node);
    const dumps = (): readonly string[] => daemon.log().split(END).slice(0, -1);
    const dump = async (): Promise<string> => {
      const before = dumps().length;
      daemon.signal('SIGUSR1');
      return waitFor(() => dumps()[before], { what: `dump ${before + 1}`, detail: stage.tails });
    };
    const { metadata } = await objects.get('web');
    const lines = [
      `  shop/web (UID ${metadata.uid ?? ''}): ${vip(1)}`,
      `  shop/web: advertised; VIPs ${vip(1)}; lease kube-system/plndr-svcs-lock; 1 endpoints in 1 slices`,
      'EndpointSlices: 2',
      '  table ip kube-vip-guard',
    ];
    // The address is on its link before everything else about it is known.
    const isComplete = (text: string): boolean =>
      lines.every((line) => text.includes(`${line}\n`)) &&
      text.includes('shop/idle: no-endpoints (no serving endpoint anywhere)');
    let text = '';
    await waitFor(async () => isComplete((text = await dump())), {
      what: `a dump with all of ${lines.join('\n')}`,
      detail: () => text,
    });
    for (let n = 0; n < 2; n++) assert.ok(isComplete(await dump()), 'again');
    const sections = [...text.matchAll(/^--- (.*) ---$/gm)].map(([, title]) => title);
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
    assert.equal(daemon.process.alive, true);
  });

  it('OBS-01 the metrics of Services have the names and labels of kube-vip', async () => {
    const { objects, node } = stage;
    const annotations = { 'kube-vip.io/leaseName': 'shared' };
    await objects.create({ name: 'bad', vip: vip(3), policy: 'Local', annotations }, [node]);
    const off = { 'kube-vip.io/serviceInterface': 'eth9' };
    await objects.create({ name: 'off', vip: vip(4), annotations: off }, [node]);
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
    let text = '';
    const missing = (): readonly RegExp[] => expected.filter((pattern) => !pattern.test(text));
    await waitFor(
      async () => {
        text = await stage.page('/metrics');
        return missing().length === 0;
      },
      { what: 'the Services to be counted', detail: () => `${missing().join('\n')}\nin\n${text}` },
    );
    await objects.delete('bad');
    await waitFor(async () => !(await stage.page('/metrics')).includes('name="bad"'), {
      what: 'its series to go',
    });
  });
});
