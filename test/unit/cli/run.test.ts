import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scanFlags, settingList } from '../../../src/config/index.ts';
import { readSettings } from '../../../src/config/read.ts';
import { referenceRows } from '../config/reference.ts';
import { kubeVip } from './helpers.ts';

const commands = [
  'manager',
  'service',
  'version',
  'sample',
  'manifest',
  'manifest pod',
  'manifest daemonset',
  'manifest rbac',
  'kubeadm',
  'kubeadm init',
  'kubeadm join',
  'completion bash',
  'help',
];

describe('CP-05 every flag of the original is accepted by every sub-command, with its type and default', () => {
  for (const command of commands)
    test(command, async () => {
      for (const row of referenceRows.filter(({ flag }) => flag !== '')) {
        const { err } = await kubeVip([...command.split(' '), `--${row.flag}=${row.sample}`, '--help']);
        assert.equal(err, '', row.flag);
        if (row.type === 'string' || row.type === 'list' || row.type === 'peers') continue;
        const wrong = await kubeVip([...command.split(' '), `--${row.flag}=certainly`]);
        assert.match(wrong.err, new RegExp(`flag --${row.flag}="certainly": `), row.flag);
        assert.equal(wrong.status, 1);
        assert.equal(wrong.out, '');
      }
    });

  test('defaults', () => {
    const { config } = readSettings({ flags: scanFlags([], settingList), env: {}, readFile: () => '' });
    for (const row of referenceRows)
      assert.deepEqual(
        Object.entries(config).find(([name]) => name === row.name)?.[1],
        row.fallback,
        row.name,
      );
  });
});

const arp = { vip_arp: 'true', cp_enable: 'true', address: '192.0.2.10', vip_nodename: 'n' };

describe('the daemon', () => {
  test('starts with what was configured, its sources and its warnings', async () => {
    const { status, out, err, started } = await kubeVip(['--port', '7443', 'manager', 'false'], arp);
    assert.deepEqual([status, out, err], [0, '', '']);
    assert.equal(started?.config.port, 7443);
    assert.deepEqual(started.sources.port, { kind: 'flag', name: '--port' });
    assert.match(started.warnings.join(), /surplus argument "false" is ignored/);
  });

  test('CP-24 vip_cidr=32 with vip_address starts', async () => {
    const { status, err, started } = await kubeVip(['manager'], {
      ...arp,
      address: '',
      vip_address: '192.0.2.10',
      vip_cidr: '32',
    });
    assert.deepEqual([status, err], [0, '']);
    assert.equal(started?.config.vipSubnet, '32');
  });

  test('service is the manager without the metrics listener', async () => {
    const { status, started } = await kubeVip(['service', '-c', 'plndr'], arp);
    assert.equal(status, 0);
    assert.equal(started?.config.prometheusHttpServer, '');
    assert.equal((await kubeVip(['manager'], arp)).started?.config.prometheusHttpServer, ':2112');
  });

  test('is not started when something is wrong, and every problem has its line', async () => {
    const { status, out, err, started } = await kubeVip(['manager', '--log=loud'], {
      ...arp,
      vip_arp: 'yes',
    });
    assert.deepEqual([status, out, started], [1, '', undefined]);
    assert.match(
      err,
      /^Error: env vip_arp="yes": not a boolean; .*\nError: flag --log="loud": not a whole number; .*\n$/,
    );
  });

  test('with refused settings has nothing of a predecessor left behind, as far as its VIPs can be read', async () => {
    const plane = { vip_arp: 'true', cp_enable: 'true', address: '192.0.2.1', vip_nodename: 'n' };
    const cleared = async (command: string, env: Readonly<Record<string, string>>) =>
      (await kubeVip(command.split(' '), env)).cleared;
    assert.deepEqual(await cleared('manager', { ...plane, vip_leaseduration: '1' }), ['192.0.2.1']);
    assert.deepEqual(await cleared('service', { ...plane, port: 'x' }), ['192.0.2.1']);
    assert.deepEqual(await cleared('manager', { ...plane, svc_enable: 'true', enable_upnp: 'true' }), [
      '192.0.2.1',
    ]);
    assert.deepEqual(await cleared('manager', { ...plane, cp_enable: 'false' }), []);
    assert.deepEqual(await cleared('manager', plane), []);
    assert.deepEqual(await cleared('config', { ...plane, port: 'x' }), []);
    assert.deepEqual(await cleared('manifest pod', { ...plane, port: 'x' }), []);
  });

  test('is not started with what is not built yet', async () => {
    const { status, out, err, started } = await kubeVip(['manager', '--enableUPNP=true'], {
      ...arp,
      svc_enable: 'true',
      mirror_dest_interface: 'eth1',
    });
    assert.deepEqual([status, out, started], [1, '', undefined]);
    assert.equal(
      err,
      'not implemented yet: mirror_dest_interface=eth1 (traffic mirroring)\nnot implemented yet: --enableUPNP=true (UPnP)\n',
    );
  });
});

describe('other commands', () => {
  test('flags of one command are unknown to others', async () => {
    const given: readonly (readonly [string, string, 0 | 1])[] = [
      ['manifest daemonset', '--taint', 0],
      ['manifest pod', '--taint', 1],
      ['manifest rbac', '--rolebinding', 0],
      ['manifest pod', '--inCluster', 0],
      ['manager', '--inCluster', 1],
      ['kubeadm join', '--config=/k', 0],
    ];
    for (const [command, flag, status] of given) {
      const outcome = await kubeVip([...command.split(' '), flag, '--help']);
      assert.equal(outcome.status, status, `${command} ${flag}`);
      if (status === 1) assert.match(outcome.err, new RegExp(`unknown flag: ${flag}`));
    }
  });

  test('a value of a flag is never taken for a command', async () => {
    const { status, started } = await kubeVip(['--leaseName', 'version', 'manager'], arp);
    assert.equal(status, 0);
    assert.equal(started?.config.leaseName, 'version');
  });

  test('unknown sub-commands are errors', async () => {
    for (const argv of [
      ['manifest', 'pood'],
      ['kubeadm', 'x'],
      ['help', 'managr'],
      ['completion', 'powershell'],
    ]) {
      const { status, out, err } = await kubeVip(argv);
      assert.deepEqual([status, out], [1, ''], argv.join(' '));
      assert.match(err, /^Error: unknown command "/);
    }
    assert.match(
      (await kubeVip(['manifest', 'pood'])).err,
      /for "kube-vip manifest"; did you mean pod\?\n\nUsage:\n/,
    );
  });

  test('help shows every flag with its default and environment variable', async () => {
    const { status, out, err } = await kubeVip(['help', 'manager']);
    assert.deepEqual([status, err], [0, '']);
    assert.equal((await kubeVip(['manager', '--help'])).out, out);
    for (const [name, { flags, inert }] of settingList)
      if (flags[0] !== undefined && !inert) assert.match(out, new RegExp(`--${flags[0]}[ \n]`), name);
    assert.match(out, /--leaseDuration int +Seconds .* \(default 15, env vip_leaseduration\)/);
    for (const line of out.split('\n')) assert.ok(!line.includes('undefined'), line);
  });

  test('config prints what was set, where, and no secret; or what is wrong', async () => {
    const { status, out, err } = await kubeVip(['config', '--lbPort=443', 'x'], {
      ...arp,
      bgp_peerpass: 'geheim',
    });
    assert.equal(status, 0);
    assert.match(out, /^vip_arp=true +# env vip_arp$/m);
    assert.match(out, /^lb_port=443 +# flag --lbPort$/m);
    assert.match(out, /^vip_subnet=32 +# from address$/m);
    assert.match(out, /^bgp_peerpass=\*\*\* +# env bgp_peerpass$/m);
    assert.doesNotMatch(out, /default|geheim/);
    assert.match(err, /^Warning: surplus argument "x" is ignored\n$/);
    const refused = await kubeVip(['config'], { ...arp, vip_arp: '', lb_fwdmethod: 'nat' });
    assert.equal(refused.status, 1);
    // What was passed over may be why.
    assert.match(refused.err, /^Warning: env lb_fwdmethod="nat" is none of .*\nError: vip_arp: no valid/s);
  });

  test('sample and parents print their own help', async () => {
    for (const command of ['sample', 'manifest', 'kubeadm', 'completion']) {
      const { status, out } = await kubeVip([command]);
      assert.equal(status, 0);
      assert.match(out, new RegExp(`Usage:\n  kube-vip ${command} `));
    }
  });

  test('completion scripts know commands and flags', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { status, out } = await kubeVip(['completion', shell]);
      assert.equal(status, 0);
      assert.match(out, /manager/);
      assert.match(out, /leaseDuration/);
    }
  });

  test('an unexpected failure is an error with status 1, not a crash', async () => {
    const { status, out, err } = await kubeVip(['manager', '--config-file=x.yaml'], arp);
    assert.deepEqual([status, out], [1, '']);
    assert.match(
      err,
      /^Error: flag --config-file="x.yaml": cannot read: no file x.yaml here; check the path/,
    );
  });
});
