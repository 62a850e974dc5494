import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  Capture,
  Cluster,
  ensurePrivilege,
  HolderWatch,
  leasePath,
  oneWithin,
  SlowFile,
  waitFor,
  type Daemon,
  type LeaseTimes,
  type Machine,
} from '../../../lab/index.ts';
import { Objects } from '../services/objects.ts';

const refused = ensurePrivilege();
/** Nobody loses it because a process did not run for a while. */
const lease: LeaseTimes = { duration: 60, renewDeadline: 40, retryPeriod: 2 };

interface LeaseBody {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly holderIdentity: string; readonly leaseDurationSeconds: number };
}

describe('the process around a control-plane VIP', { skip: refused?.because ?? false }, () => {
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

  const withDaemon = (
    env: Readonly<Record<string, string>>,
    body: (daemon: Daemon) => Promise<void>,
    args?: readonly string[],
  ): Promise<void> =>
    cluster.withDaemon(node, { lease, env, options: args === undefined ? {} : { args } }, body);

  const held = (address = vip): Promise<boolean> => node.holds(address);
  const untilHeld = (daemon: Daemon): Promise<unknown> =>
    waitFor(() => held(), { what: 'the VIP', detail: () => daemon.process.tail(30) });
  const leaseBody = async (path = leasePath): Promise<LeaseBody> =>
    JSON.parse((await cluster.api.client.ask('GET', path)).body) as LeaseBody;
  const nodeLabels = async (): Promise<Readonly<Record<string, string>>> => {
    const { body } = await cluster.api.client.ask('GET', `/api/v1/nodes/${node.name}`);
    return (JSON.parse(body) as { metadata: { labels?: Record<string, string> } }).metadata.labels ?? {};
  };

  it('CP-90 the VIP is /32, global, deprecated (preferred lifetime 0), valid for ever', async () => {
    await withDaemon({}, async (daemon) => {
      await untilHeld(daemon);
      const text = await node.run('ip', ['addr', 'show', 'to', vip]);
      assert.match(text, new RegExp(`inet ${vip}/32 .*scope global deprecated`));
      // The kernel prints no preferred lifetime of a permanent IPv4 address; `deprecated` is what 0 leaves.
      assert.match(text, /valid_lft forever/);
    });
  });

  it('CP-91 vip_subnet=24 gives prefix 24 and a broadcast address', async () => {
    await withDaemon({ vip_subnet: '24' }, async (daemon) => {
      await untilHeld(daemon);
      const net = vip.split('.').slice(0, 3).join('.');
      assert.match(
        await node.run('ip', ['addr', 'show', 'to', vip]),
        new RegExp(`inet ${vip}/24 brd ${net}\\.255`),
      );
    });
  });

  it('CP-92 on lo the scope is host, with vip_interfaceloglobal it is global', async () => {
    for (const [loGlobal, scope] of [
      ['false', 'host'],
      ['true', 'global'],
    ] as const) {
      await withDaemon({ vip_interface: 'lo', vip_interfaceloglobal: loGlobal }, async (daemon) => {
        await untilHeld(daemon);
        assert.match(
          await node.run('ip', ['addr', 'show', 'dev', 'lo', 'to', vip]),
          new RegExp(`scope ${scope}`),
        );
      });
    }
  });

  it('CP-95 a dual-stack list puts both addresses on the leader', async () => {
    const vip6 = cluster.lab.plan.vip6(0);
    await withDaemon({ address: `${vip},${vip6}`, vip_skipdad: 'true' }, async (daemon) => {
      await untilHeld(daemon);
      await waitFor(() => held(vip6), { what: 'the IPv6 VIP' });
    });
    assert.equal(await held(vip6), false);
  });

  it('CP-111 the first announcement follows within 100 ms of the address', async (t: TestContext) => {
    const delays = await oneWithin(100, announcedAfterMs);
    t.diagnostic(`${delays.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  });

  async function announcedAfterMs(): Promise<number> {
    const capture = await Capture.start(cluster.lab.client, 'arp');
    const watch = await HolderWatch.start(cluster.lab, vip);
    let delay = Number.NaN;
    try {
      await withDaemon({}, async (daemon) => {
        await untilHeld(daemon);
        const frame = await waitFor(
          () => capture.frames().find((each) => each.kind === 'arp' && each.senderIp === vip),
          { what: 'an announcement' },
        );
        const added = await waitFor(() => watch.report().events.find(({ present }) => present), {
          what: 'the event of the address',
        });
        delay = frame.at - added.at;
      });
    } finally {
      await capture.stop();
      await watch.kill();
    }
    return delay;
  }

  it('CP-72 a lease name with a namespace decides where the Lease is', async () => {
    await withDaemon({ vip_leasename: 'ns1/foo' }, async (daemon) => {
      await untilHeld(daemon);
      const lease = await leaseBody('/apis/coordination.k8s.io/v1/namespaces/ns1/leases/foo');
      assert.equal(lease.spec.holderIdentity, node.name);
    });
  });

  it('CP-74 a static Pod takes the namespace of cp_namespace and says so', async () => {
    await withDaemon({ cp_namespace: 'elsewhere' }, async (daemon) => {
      await untilHeld(daemon);
      const lease = await leaseBody('/apis/coordination.k8s.io/v1/namespaces/elsewhere/leases/plndr-cp-lock');
      assert.equal(lease.spec.holderIdentity, node.name);
      assert.match(daemon.log(), /WARN .*cp_namespace/);
      const membership = `INFO cluster membership namespace=elsewhere lock=plndr-cp-lock id=${node.name}`;
      assert.ok(daemon.log().includes(membership));
    });
  });

  it('CP-79 vip_leaseannotations are on the Lease', async () => {
    await cluster.deleteLease();
    await withDaemon({ vip_leaseannotations: '{"a":"b"}' }, async (daemon) => {
      await untilHeld(daemon);
      assert.equal((await leaseBody()).metadata.annotations?.['a'], 'b');
    });
  });

  it('CP-33 the identity is the lower-cased node name', async () => {
    await withDaemon({ vip_nodename: 'Node-A' }, async (daemon) => {
      await untilHeld(daemon);
      assert.equal((await leaseBody()).spec.holderIdentity, 'node-a');
      assert.match(daemon.log(), / INFO using node name name=node-a$/m);
    });
  });

  it('CP-126 SIGTERM: VIP gone, lease released, label gone, exit 0', async () => {
    await withDaemon({ enable_node_labeling: 'true' }, async (daemon) => {
      await untilHeld(daemon);
      await waitFor(async () => (await nodeLabels())['kube-vip.io/has-ip'] === vip, { what: 'the label' });
      const started = Date.now();
      const exit = await daemon.stop(30_000);
      assert.equal(exit.code, 0);
      assert.ok(Date.now() - started < 20_000);
    });
    assert.equal(await held(), false);
    const lease = await leaseBody();
    assert.equal(lease.spec.holderIdentity, '');
    assert.equal(lease.spec.leaseDurationSeconds, 1);
    assert.equal((await nodeLabels())['kube-vip.io/has-ip'], undefined);
  });

  it('SIGINT, SIGHUP and SIGQUIT end it in the same way', async () => {
    for (const name of ['SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
      await withDaemon({}, async (daemon) => {
        await daemon.waitReady();
        await untilHeld(daemon);
        daemon.signal(name);
        assert.deepEqual(await daemon.process.untilExit(), { code: 0, signal: null }, name);
        assert.equal(await held(), false, name);
        assert.equal((await leaseBody()).spec.holderIdentity, '', name);
      });
    }
  });

  it('CP-126 a name server that never answers does not hold up the exit', async () => {
    // Nobody has this address; asked once, the resolver waits longer than a kubelet would.
    const silent = `nameserver ${cluster.lab.plan.vip(9)}\noptions timeout:30 attempts:5\n`;
    const etc = { 'resolv.conf': silent, 'nsswitch.conf': 'hosts: files dns\n' };
    const env = { kubernetes_addr: 'https://api.example.com:6443' };
    const short = { duration: 5, renewDeadline: 3, retryPeriod: 1 };
    await cluster.withDaemon(node, { lease: short, env, options: { etc } }, async (daemon) => {
      await daemon.process.waitForLog(/WARN lease read failed.*no answer in time/);
      assert.deepEqual(await daemon.stop(20_000), { code: 0, signal: null });
    });
  });

  it('a VIP that a predecessor held on lo, or on another link, goes when it is to be on this one', async () => {
    const links = async (): Promise<readonly string[]> => {
      const shown = await node.run('ip', ['-o', 'addr', 'show', 'to', vip]);
      return shown.split('\n').flatMap((line) => line.split(/\s+/)[1] ?? []);
    };
    for (const [first, then] of [
      ['lo', 'eth0'],
      ['eth0', 'lo'],
    ] as const) {
      await withDaemon({ vip_interface: first }, async (daemon) => {
        await untilHeld(daemon);
        await daemon.kill();
      });
      await withDaemon({ vip_interface: then }, async (daemon) => {
        await waitFor(async () => (await links()).join() === then, {
          what: `the VIP on ${then} alone`,
          detail: () => daemon.process.tail(),
        });
      });
      assert.deepEqual(await links(), []);
    }
  });

  it('a start that fails, or is ended by SIGTERM, leaves no VIP of a predecessor', async () => {
    const leaveVip = async (): Promise<void> => {
      await withDaemon({}, async (daemon) => {
        await untilHeld(daemon);
        await daemon.kill();
      });
      assert.equal(await held(), true);
    };
    await leaveVip();
    await withDaemon({ k8s_config_file: '/nowhere' }, async (daemon) => {
      assert.equal((await daemon.process.untilExit()).code, 1);
      assert.equal(await held(), false);
    });
    await leaveVip();
    await withDaemon({ vip_interface: 'nowhere' }, async (daemon) => {
      assert.equal((await daemon.process.untilExit()).code, 1);
      assert.equal(await held(), false);
    });
    for (const refused of [
      { vip_leaseduration: '1' },
      { vip_arpRate: 'often' },
      { bgp_enable: 'true' },
      { vip_wireguard: 'true' },
    ]) {
      await leaveVip();
      await withDaemon(refused, async (daemon) => {
        assert.equal((await daemon.process.untilExit()).code, 1);
        assert.equal(await held(), false, JSON.stringify(refused));
      });
    }
    await leaveVip();
    // Detection waits for an answer from the local API server, which never comes.
    await node.cable.blackholeApi(6443);
    const etc = { 'kubernetes/admin.conf': readFileSync(cluster.api.kubeconfig(node, 'admin'), 'utf8') };
    const env = { k8s_config_file: '', cp_detect: 'true' };
    try {
      await cluster.withDaemon(node, { lease, env, options: { etc } }, async (daemon) => {
        await daemon.process.waitForLog(/ starting namespace/);
        daemon.signal('SIGTERM');
        assert.deepEqual(await daemon.process.untilExit(), { code: 0, signal: null });
      });
    } finally {
      await node.cable.restoreApi();
    }
    assert.equal(await held(), false);
  });

  it('a signal that comes before the settings are read, or a start that fails, leaves no VIP of a Service either', async () => {
    const other = cluster.lab.plan.vip(5);
    await (await Objects.in(cluster)).create({ name: 'left', vip: other }, [node]);
    const settings = new SlowFile(path.join(node.dir, 'settings.json'));
    const leaveBoth = async (): Promise<void> => {
      await withDaemon({ svc_enable: 'true' }, async (daemon) => {
        await untilHeld(daemon);
        await waitFor(() => held(other), { what: 'the VIP of the Service' });
        await daemon.kill();
      });
      assert.deepEqual([await held(), await held(other)], [true, true]);
    };
    for (const name of ['SIGTERM', 'SIGHUP'] as const) {
      await leaveBoth();
      await withDaemon({ svc_enable: 'true', config_file: settings.path }, async (daemon) => {
        const give = await settings.reader();
        daemon.signal(name);
        give('{}');
        assert.deepEqual(await daemon.process.untilExit(), { code: 0, signal: null }, daemon.log());
      });
      assert.deepEqual([await held(), await held(other)], [false, false], name);
    }
    await leaveBoth();
    await withDaemon({ svc_enable: 'true', k8s_config_file: '/nowhere' }, async (daemon) => {
      assert.equal((await daemon.process.untilExit()).code, 1);
    });
    assert.deepEqual([await held(), await held(other)], [false, false], 'a start that failed');
  });

  it('CP-200 the leader labels its Node, IPv6 as 32 hex digits, and unlabels it on loss', async () => {
    const vip6 = cluster.lab.plan.vip6(0);
    const env = { enable_node_labeling: 'true', address: vip6, vip_skipdad: 'true' };
    await withDaemon(env, async () => {
      await waitFor(async () => /^[0-9a-f]{32}$/.test((await nodeLabels())['kube-vip.io/has-ip'] ?? ''), {
        what: 'the label',
      });
      await cluster.takeLease('somebody-else');
      await waitFor(async () => (await nodeLabels())['kube-vip.io/has-ip'] === undefined, {
        what: 'the label to go',
      });
    });
    await cluster.deleteLease();
  });

  it('CP-87 with vip_exit_on_lease_loss the process ends with status 0 and comes back as a follower', async () => {
    const daemon = cluster.startDaemon(node, {
      lease,
      env: { vip_exit_on_lease_loss: 'true' },
      options: { restartDelayMs: 200 },
    });
    try {
      await untilHeld(daemon);
      await cluster.takeLease('somebody-else');
      await waitFor(() => daemon.exits.length > 0, { what: 'the process to end' });
      assert.equal(daemon.exits[0]?.code, 0);
      assert.equal(await held(), false);
      await waitFor(() => daemon.starts > 1 && daemon.process.alive, { what: 'the restart' });
      await daemon.waitReady();
      assert.equal(await held(), false);
    } finally {
      await daemon.stop();
      await cluster.deleteLease();
    }
  });

  it('CP-128 with health_check_port set the process exits on SIGTERM, and CP-206 /healthz says OK until then', async () => {
    await withDaemon({ health_check_port: '9989' }, async (daemon) => {
      await untilHeld(daemon);
      const answer = await daemon.http('/healthz', 9989);
      assert.equal(answer?.status, 200);
      assert.equal(answer.body.trim(), 'OK');
      assert.equal((await daemon.http('/other', 9989))?.status, 404);
      const exit = await daemon.stop();
      assert.equal(exit.code, 0);
    });
  });

  it('CP-129 SIGUSR1 prints the dump with every heading, three times in a row, and the process goes on', async () => {
    await withDaemon({}, async (daemon) => {
      await untilHeld(daemon);
      for (let n = 1; n <= 3; n++) {
        daemon.signal('SIGUSR1');
        await waitFor(() => daemon.log().split('END OF CONFIGURATION DUMP').length === n + 1, {
          what: `dump ${n}`,
        });
      }
      const headings = [
        'KUBE-VIP CONFIGURATION DUMP',
        'BASIC CONFIGURATION',
        'BGP CONFIGURATION',
        'ARP/NDP CONFIGURATION',
        'SERVICES CONFIGURATION',
        'NETWORK INTERFACES',
        'LEADER ELECTION CONFIGURATION',
        'RUNTIME STATISTICS',
        'NFTABLES CONFIGURATION',
        'ARP Enabled: true',
        `Node Name: ${node.name}`,
      ];
      for (const heading of headings) assert.ok(daemon.log().includes(heading), heading);
      assert.equal(daemon.process.alive, true);
    });
  });

  it('CP-203 prometheus_server moves the metrics, an empty flag turns them off', async () => {
    await withDaemon({ prometheus_server: ':9999' }, async (daemon) => {
      await untilHeld(daemon);
      assert.equal((await daemon.http('/metrics', 9999))?.status, 200);
      assert.equal(await daemon.http('/metrics', 2112), undefined);
    });
    await withDaemon(
      { prometheus_server: '' },
      async (daemon) => {
        await untilHeld(daemon);
        assert.equal(await daemon.http('/metrics', 2112), undefined);
      },
      ['manager', '--prometheusHTTPServer', ''],
    );
  });

  it('CP-204 build_info is 1, is_leader covers the control-plane lease', async () => {
    await withDaemon({}, async (daemon) => {
      await untilHeld(daemon);
      const body = (await daemon.http('/metrics'))?.body ?? '';
      assert.match(body, /^kube_vip_build_info\{[^}]*version="[^"]+"[^}]*\} 1$/m);
      assert.match(
        body,
        new RegExp(`^kube_vip_is_leader\\{node="${node.name}",lease_name="plndr-cp-lock"\\} 1$`, 'm'),
      );
      for (const name of [
        'kube_vip_leader_election_transitions_total',
        'kube_vip_active_services',
        'kube_vip_service_reconcile_errors_total',
        'kube_vip_service_reconcile_duration_seconds',
        'kube_vip_service_election_loops',
        'kube_vip_service_election_attempts_total',
        'kube_vip_service_election_errors_total',
        'kube_vip_manager_all_services_events',
        'kube_vip_manager_bgp_session_info',
      ]) {
        assert.ok(body.includes(`# TYPE ${name} `), name);
      }
    });
  });

  it('CP-205 a taken metrics port is an error in the log and nothing else', async () => {
    const blocker = node.start('blocker', [
      process.execPath,
      '-e',
      'require("net").createServer().listen(2112,"::",()=>console.log("ready"))',
    ]);
    await blocker.waitForLog(/ready/);
    try {
      await withDaemon({}, async (daemon) => {
        await untilHeld(daemon);
        await daemon.process.waitForLog(/ERROR .*2112/);
      });
    } finally {
      await blocker.kill();
    }
  });

  it('CP-207 vip_loglevel=-4 shows DEBUG lines, 4 hides INFO', async () => {
    await withDaemon({ vip_loglevel: '-4' }, async (daemon) => {
      await waitFor(() => /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d DEBUG /m.test(daemon.log()), {
        what: 'a DEBUG line',
      });
    });
    await withDaemon({ vip_loglevel: '4' }, async (daemon) => {
      await untilHeld(daemon);
      await daemon.waitReady();
      assert.doesNotMatch(daemon.log(), / INFO /);
    });
  });

  it('CP-168 IPVS is asked for and this kernel has none: it says so and ends, and leaves nothing', async (t) => {
    if (existsSync('/proc/net/ip_vs')) {
      t.skip('this kernel has IPVS');
      return;
    }
    await withDaemon(
      { lb_enable: 'true', lb_backend: 'ipvs', lb_fwdmethod: 'masquerade' },
      async (daemon) => {
        // Gone from the kernel's table is a moment before its status is known here.
        await waitFor(() => daemon.exits.length > 0, { what: 'the end of the process' });
        assert.equal(daemon.exits[0]?.code, 1);
        assert.match(daemon.log(), /ensure IPVS kernel modules are loaded \(ip_vs and ip_vs_rr\)/);
        assert.equal(await held(), false);
        assert.doesNotMatch(await node.run('nft', ['list', 'ruleset']), /kube-vip/);
      },
    );
  });
});
