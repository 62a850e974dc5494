import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unimplemented, UsageError } from '../../../src/config/index.ts';
import { load, loadConfig, read, refusal, working } from './helpers.ts';

describe('precedence', () => {
  test('CP-07 the environment wins over the flag', () => {
    const { config, sources } = load({
      argv: ['--leaseName=from-flag'],
      env: { ...working, vip_leasename: 'from-env' },
    });
    assert.equal(config.leaseName, 'from-env');
    assert.deepEqual(sources.leaseName, { kind: 'env', name: 'vip_leasename' });
  });

  test('a flag that cannot be read is an error also where the environment counts', () => {
    const argv = ['--port=six', '--arp=yes', '--leaseName=x'];
    const text = refusal({ argv, env: { ...working, port: '7443', vip_leasename: 'y' } });
    assert.match(text, /^flag --arp="yes": not a boolean;.*\nflag --port="six": not a whole number;.*$/);
  });

  test('CP-08 an empty environment variable is as good as none, except lb_class_name beside svc_enable', () => {
    const { config } = load({
      argv: ['--leaseName=from-flag'],
      env: { ...working, vip_leasename: '', prometheus_server: '', svc_enable: 'true', lb_class_name: '' },
    });
    assert.equal(config.leaseName, 'from-flag');
    assert.equal(config.prometheusHttpServer, ':2112');
    assert.equal(config.loadBalancerClassName, '');
    const without = load({ env: { ...working, svc_enable: '', lb_class_name: '' } });
    assert.equal(without.config.loadBalancerClassName, 'kube-vip.io/kube-vip-class');
  });

  test('an empty flag counts: it switches the listener off', () => {
    assert.equal(load({ argv: ['--prometheusHTTPServer='], env: working }).config.prometheusHttpServer, '');
  });

  describe('a variable that is no setting is named, with what was meant', () => {
    const rows: readonly (readonly [name: string, value: string, hint: string | undefined])[] = [
      ['vip_leaderElection', 'true', '; did you mean vip_leaderelection?'],
      ['bgp_source_if', 'eth1', '; did you mean bgp_sourceif?'],
      ['PORT', '7443', '; did you mean port?'],
      ['enableUPNP', 'true', '; did you mean enable_upnp?'],
      ['vipSubnet', '24', '; did you mean vip_subnet?'],
      ['vip_packet', 'true', ''],
      ['enable_endpointslices', 'true', '; slices are watched unless enable_endpoints is true'],
      ['vip_frobnicate', '', undefined],
      // Of the kubelet, the shell and other programs.
      ['LB_PORT', 'tcp://10.96.0.7:443', undefined],
      ['VIP_SERVICE_HOST', '10.96.0.7', undefined],
      ['no_proxy', '10.0.0.1', undefined],
      ['log', '/x', undefined],
      ['vip', '10.0.0.1', undefined],
    ];
    for (const [name, value, hint] of rows)
      test(`${name}=${value}`, () => {
        const { warnings } = load({ env: { ...working, [name]: value } });
        const expected = hint === undefined ? [] : [`env ${name} is no setting and is ignored${hint}`];
        assert.deepEqual(
          warnings.filter((line) => line.startsWith('env ')),
          expected,
        );
      });

    test('a variable that counts beside svc_enable alone is named where a flag enables Services', () => {
      const env = { ...working, svc_election: 'true' };
      const { config, warnings } = load({ argv: ['--services'], env });
      assert.equal(config.enableServicesElection, false);
      assert.match(warnings.join('\n'), /^env svc_election is ignored: .* set that, too$/m);
      for (const other of [{ env }, { argv: ['--services'], env: { ...env, svc_enable: 'true' } }])
        assert.doesNotMatch(load(other).warnings.join('\n'), /svc_election/);
    });
  });

  test('a peer whose password is the word for multihop, as some recipes have it, is warned of', () => {
    for (const [peers, meant] of [
      ['10.0.0.1:65000::false,10.0.0.2:65001:false', '10.0.0.2:65001::false'],
      ['[fd00::1]:65001:true', '[fd00::1]:65001::true'],
      ['10.0.0.1:65000:secret:true', undefined],
    ] as const) {
      const env = { ...working, vip_arp: 'false', bgp_enable: 'true' };
      for (const given of [{ env: { ...env, bgp_peers: peers } }, { env, argv: ['--bgppeers', peers] }]) {
        const found = load(given).warnings.filter((line) => line.includes('multihop'));
        assert.equal(found.length, meant === undefined ? 0 : 1);
        if (meant !== undefined)
          assert.ok(found[0]?.endsWith(`if multihop is meant write ${meant}`), found[0]);
      }
    }
  });

  test('CP-09 a flag that was given wins over the file, also with the default value', () => {
    const files = { 'c.yaml': 'leaseDuration: 60\nport: 7443\n' };
    const { config } = load({ argv: ['--leaseDuration=15', '--config-file', 'c.yaml'], env: working, files });
    assert.equal(config.leaseDuration, 15);
    assert.equal(config.port, 7443);
  });

  test('a boolean in the file can also be switched off', () => {
    const files = { 'c.yaml': 'egressWithNftables: false\nloadBalancerClassLegacyHandling: no\n' };
    const { config } = load({ argv: ['--config-file=c.yaml'], env: working, files });
    assert.equal(config.egressWithNftables, false);
    assert.equal(config.loadBalancerClassLegacyHandling, false);
  });

  test('CP-11 config_file in the environment names the file, before the flag', () => {
    const files = { 'a.yaml': 'leaseName: a\n', 'b.yaml': 'leaseName: b\n' };
    const env = { ...working, config_file: 'a.yaml' };
    assert.equal(load({ env, files }).config.leaseName, 'a');
    assert.equal(load({ argv: ['--config-file=b.yaml'], env, files }).config.leaseName, 'a');
  });

  test('CP-14 a file that does not mention debounceTime and dhcpBackoffAttempts leaves their defaults', () => {
    const { config } = load({
      argv: ['--config-file=c.json'],
      env: working,
      files: { 'c.json': '{"leaseName":"x"}' },
    });
    assert.equal(config.debounceTime, 0);
    assert.equal(config.dhcpBackoffAttempts, 3);
    assert.equal(config.arpBroadcastRate, 3000);
  });

  test('CP-16 without svc_enable the variables of Services are not read, not even broken ones', () => {
    const env = {
      svc_election: 'perhaps',
      lb_class_only: 'true',
      lb_class_name: 'x',
      lb_class_legacy_handling: 'false',
      svc_namespace: 'ns',
      svc_leasename: 'l',
    };
    const { config } = load({ env: { ...working, ...env } });
    assert.equal(config.enableServicesElection, false);
    assert.equal(config.loadBalancerClassOnly, false);
    assert.equal(config.loadBalancerClassName, 'kube-vip.io/kube-vip-class');
    assert.equal(config.loadBalancerClassLegacyHandling, true);
    assert.equal(config.serviceNamespace, '');
    assert.equal(config.servicesLeaseName, 'plndr-svcs-lock');
    const read = load({ env: { ...working, ...env, svc_enable: 'false', svc_election: 'true' } });
    assert.equal(
      read.config.enableServicesElection,
      true,
      'svc_enable=false is set, and that is what counts',
    );
  });

  test('CP-17 instance_name wins over INSTANCE_NAME', () => {
    assert.equal(load({ env: { ...working, INSTANCE_NAME: 'x' } }).config.instanceName, 'x');
    assert.equal(
      load({ env: { ...working, INSTANCE_NAME: 'x', instance_name: 'y' } }).config.instanceName,
      'y',
    );
  });
});

describe('what follows from other settings', () => {
  test('CP-33 the node name is lower-cased; without one it is the host name, with a warning', () => {
    const given = load({ env: { ...working, vip_nodename: 'Node-A' } });
    assert.equal(given.config.nodeName, 'node-a');
    assert.deepEqual(given.warnings, []);
    const { config, warnings } = load({ env: { ...working, vip_nodename: '' }, hostname: 'Box-7' });
    assert.equal(config.nodeName, 'box-7');
    assert.deepEqual(warnings, ['vip_nodename is not set; using the host name box-7']);
  });

  test('a negative dhcp_backoff_attempts in the environment is passed over with a warning, elsewhere it is an error', () => {
    const { config, warnings } = load({ env: { ...working, dhcp_backoff_attempts: '-1' } });
    assert.equal(config.dhcpBackoffAttempts, 3);
    assert.ok(warnings.some((line) => line.includes('dhcp_backoff_attempts="-1" is negative; using 3')));
    assert.throws(() => load({ argv: ['--dhcpBackoffAttempts=-1'], env: working }), /out of range/);
  });

  test('lease times that cannot work are passed over where nobody is elected, as kube-vip never reads them there', () => {
    const common = { ...working, vip_arp: '', vip_leaseduration: '5' };
    const bgp = { ...common, bgp_enable: '1', bgp_peers: '192.0.2.2:65000' };
    const table = { ...common, vip_routingtable: '1' };
    for (const env of [bgp, table, { ...bgp, svc_enable: '1' }, { ...table, vip_leaderelection: '1' }]) {
      const { config, warnings } = load({ env });
      assert.deepEqual([config.leaseDuration, config.renewDeadline, config.retryPeriod], [15, 10, 2]);
      assert.match(warnings.join('\n'), /vip_leaseduration=5 .* nobody is elected with these settings/);
    }
    const elected = [
      { ...bgp, vip_leaderelection: '1' },
      { ...bgp, svc_enable: '1', svc_election: '1' },
      { ...bgp, svc_enable: '1', per_service_election_on_demand: '1' },
      { ...bgp, svc_enable: '1', svc_ipam: '1' },
      { ...table, svc_enable: '1', vip_leaderelection: '1' },
      { ...common, vip_arp: '1' },
    ];
    for (const env of elected) assert.match(refusal({ env }), /lease duration must be greater/);
  });

  test('CP-36 dhcp_mode follows dns_mode, ipv4 for first; --dhcpMode is honoured', () => {
    assert.equal(load({ env: working }).config.dhcpMode, 'ipv4');
    assert.equal(load({ env: { ...working, dns_mode: 'IPv6' } }).config.dhcpMode, 'ipv6');
    assert.equal(load({ env: { ...working, dns_mode: 'dual' } }).config.dhcpMode, 'dual');
    assert.equal(
      load({ argv: ['--dhcpMode', 'ipv6'], env: { ...working, dns_mode: 'dual' } }).config.dhcpMode,
      'ipv6',
    );
    assert.equal(load({ env: { ...working, dns_mode: 'ipv6', dhcp_mode: 'dual' } }).config.dhcpMode, 'dual');
  });

  test('a route protocol of 0, which marks nothing, becomes 248 with a warning', () => {
    const { config, warnings } = load({ env: { ...working, vip_routingprotocol: '0' } });
    assert.equal(config.routingProtocol, 248);
    assert.deepEqual(warnings, ['env vip_routingprotocol=0 marks no route as ours; using 248']);
  });

  test('an announcement period below 500 ms becomes 3000 ms with a warning', () => {
    for (const rate of ['100', '499', '0', '-5']) {
      const { config, warnings } = load({ env: { ...working, vip_arpRate: rate } });
      assert.equal(config.arpBroadcastRate, 3000);
      assert.deepEqual(warnings, [`env vip_arpRate=${rate} is below 500 ms; using 3000 ms`]);
    }
    assert.equal(load({ env: { ...working, vip_arpRate: '500' } }).config.arpBroadcastRate, 500);
  });

  test('a backend check interval of 0 or less means 5 s', () => {
    assert.equal(load({ env: working }).config.backendHealthCheckInterval, 5);
    assert.equal(
      load({ env: { ...working, backend_health_check_interval: '-1' } }).config.backendHealthCheckInterval,
      5,
    );
  });

  test('vip_cidr stands in for vip_subnet beside vip_address only', () => {
    const old = load({ env: { ...working, address: '', vip_address: '192.0.2.1', vip_cidr: '24' } });
    assert.equal(old.config.vipSubnet, '24');
    assert.deepEqual(old.sources.vipSubnet, { kind: 'env', name: 'vip_cidr' });
    const six = load({ env: { ...working, address: '2001:db8::1', vip_cidr: '32' } });
    assert.equal(six.config.vipSubnet, '128', 'kube-vip ignores vip_cidr here');
    const both = load({
      env: { ...working, address: '', vip_address: '192.0.2.1', vip_cidr: '24', vip_subnet: '25' },
    });
    assert.equal(both.config.vipSubnet, '25');
  });

  test('CP-162 a forwarding method is read in any case; an unknown one is local, with a warning', () => {
    for (const [given, method] of [
      ['MasQuerade', 'masquerade'],
      ['LOCAL', 'local'],
      ['Tunnel', 'tunnel'],
      ['DirectRoute', 'directroute'],
      ['byPass', 'bypass'],
    ] as const) {
      const { config, warnings } = load({ env: { ...working, lb_fwdmethod: given } });
      assert.equal(config.loadBalancerForwardingMethod, method);
      assert.deepEqual(warnings, []);
    }
    const { config, warnings } = load({ env: { ...working, lb_fwdmethod: 'nat' } });
    assert.equal(config.loadBalancerForwardingMethod, 'local');
    assert.match(warnings.join(), /lb_fwdmethod="nat" is none of .*; using local/);
  });

  test('an unknown forwarding method or DNS mode means the default, with a warning', () => {
    const { config, warnings } = load({ env: { ...working, lb_fwdmethod: 'magic', dns_mode: 'Both' } });
    assert.equal(config.loadBalancerForwardingMethod, 'local');
    assert.equal(config.dnsMode, 'first');
    assert.deepEqual(warnings, [
      'env lb_fwdmethod="magic" is none of local, masquerade, tunnel, directroute, bypass; using local',
      'env dns_mode="Both" is none of first, ipv4, ipv6, dual; using first',
    ]);
  });
});

test('CP-15 booleans in the environment are read as Go reads them', () => {
  for (const word of ['1', 't', 'T', 'TRUE', 'true', 'True'])
    assert.equal(read({ env: { vip_arp: word } }).config.enableArp, true, word);
  for (const word of ['0', 'f', 'F', 'FALSE', 'false', 'False'])
    assert.equal(read({ env: { egress_withnftables: word } }).config.egressWithNftables, false, word);
  for (const word of ['yes', 'no', 'on', 'tRue', ' true', '2', 'null'])
    assert.match(
      refusal({ env: { ...working, vip_arp: word } }),
      new RegExp(`^env vip_arp="${word}": not a boolean; use`),
    );
});

test('numbers: base 10 in the environment, base 0 in flags, ranges everywhere', () => {
  assert.equal(read({ argv: ['--port=010'] }).config.port, 8);
  assert.equal(read({ argv: ['--port', '0x1_F90'] }).config.port, 8080);
  assert.equal(read({ env: { port: '010' } }).config.port, 10);
  const message = refusal({
    env: { ...working, port: '0x10', vip_leaseduration: '15.5', lb_port: '65536', vip_routingtableid: '-1' },
    argv: ['--log=2147483648', '--localAS=+1', '--bgpHoldTimer=-1', '--healthCheckPort=70000'],
  });
  for (const part of [
    'env port="0x10": not a whole number; use a number from 1 to 65535',
    'env vip_leaseduration="15.5": not a whole number',
    'env lb_port="65536": out of range; use a number from 1 to 65535',
    'env vip_routingtableid="-1": out of range; use a number from 0 to 2147483647',
    'flag --log="2147483648": out of range',
    'flag --localAS="+1": not a whole number',
    'flag --bgpHoldTimer="-1": out of range',
    'flag --healthCheckPort="70000": out of range; use a number from 0 to 65535',
  ])
    assert.ok(message.includes(part), `${part}\nis not in\n${message}`);
  assert.equal(message.split('\n').length, 8, 'every problem is reported, once');
});

test('the environment of a manifest that kube-vip generates for a control plane is accepted as it is', () => {
  const { config, warnings, sources } = load({
    env: {
      vip_arp: 'true',
      port: '6443',
      vip_nodename: 'node-1',
      vip_interface: 'eth0',
      vip_subnet: '32',
      dns_mode: 'first',
      dhcp_mode: 'ipv4',
      cp_enable: 'true',
      cp_namespace: 'kube-system',
      vip_leaderelection: 'true',
      vip_leasename: 'plndr-cp-lock',
      vip_leaseduration: '15',
      vip_renewdeadline: '10',
      vip_retryperiod: '2',
      address: '192.0.2.10',
      prometheus_server: ':2112',
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      PATH: '/bin',
    },
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(unimplemented(config, sources), []);
});

test('CP-32 unknown environment variables are ignored, with a warning', () => {
  const { config, warnings } = load({
    env: {
      ...working,
      vip_packet: 'true',
      enable_endpointslices: 'x',
      provider_config: '/x',
      vip_unknown: '1',
    },
  });
  assert.deepEqual(config, load({ env: working }).config);
  assert.equal(warnings.length, 3);
});

test('CP-34 settings without effect are parsed, and checked for their type', () => {
  const env = {
    vip_singlenode: 'true',
    vip_startleader: 'true',
    vip_configmap: 'x',
    iptables_backend: 'legacy',
  };
  const plain = load({ env: working });
  const { config, warnings } = load({ env: { ...working, ...env } });
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [config.singleNode, config.startAsLeader, config.configMap, config.iptablesBackend],
    [true, true, 'x', 'legacy'],
  );
  const { singleNode, startAsLeader, configMap, iptablesBackend } = plain.config;
  assert.deepEqual({ ...config, singleNode, startAsLeader, configMap, iptablesBackend }, plain.config);
  assert.match(
    refusal({ env: { ...working, vip_singlenode: 'maybe' } }),
    /env vip_singlenode="maybe": not a boolean/,
  );
});

test('surplus arguments are ignored with a warning that says how booleans are written', () => {
  const { config, warnings } = load({ argv: ['--preserveVipOnLeadershipLoss', 'false', 'x'], env: working });
  assert.equal(config.preserveVipOnLeadershipLoss, true);
  assert.deepEqual(warnings, [
    'surplus argument "false" is ignored; a boolean flag takes its value with =, as in --arp=false',
    'surplus argument "x" is ignored',
  ]);
});

test('an unknown flag is a usage error with a suggestion', () => {
  const start = () => loadConfig({ argv: ['--adress=x'], env: {}, readFile: () => '', hostname: 'h' });
  assert.throws(start, (error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.message, 'unknown flag: --adress; did you mean --address?');
    return true;
  });
});

test('secrets never appear in a message', () => {
  const message = refusal({
    env: { ...working, bgp_peers: '192.0.2.1:nonsense:geheim', bgp_peerpass: 'geheim', bgp_multihop: 'x' },
  });
  assert.ok(message.includes('env bgp_peers="***": peer 1: has no valid AS number'), message);
  assert.ok(!message.includes('geheim'));
});
