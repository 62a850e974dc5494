import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load, refusal, working } from './helpers.ts';

/** A row: what is added to the working environment, and the problem it must end with (undefined: none). */
type Row = readonly [title: string, env: Readonly<Record<string, string>>, problem: RegExp | undefined];

function table(rows: readonly Row[]): void {
  for (const [title, env, problem] of rows)
    test(title, () => {
      if (problem === undefined) load({ env: { ...working, ...env } });
      else assert.match(refusal({ env: { ...working, ...env } }), problem);
    });
}

describe('mode and features', () => {
  table([
    ['no mode', { vip_arp: 'false' }, /no valid kube-vip mode detected; set one of vip_arp, bgp_enable/],
    [
      'two modes',
      { bgp_enable: 'true' },
      /^env bgp_enable="true": multiple kube-vip modes detected: vip_arp, bgp_enable;/,
    ],
    [
      'a VIP that stays and goes',
      { vip_preserve_on_leadership_loss: 'true', vip_expire_with_lease: 'true' },
      /^env vip_expire_with_lease="true": contradicts vip_preserve_on_leadership_loss; leave one of them on/,
    ],
    ['no feature', { cp_enable: 'false' }, /no features are enabled; set cp_enable or svc_enable to true/],
    ['control plane without address', { address: '' }, /^address: no VIP for the control plane; set address/],
    ['Services alone need no address', { address: '', cp_enable: '', svc_enable: '1' }, undefined],
  ]);
  test('all of them are reported together', () => {
    const lines = refusal({ env: { vip_arp: 'false', health_check_port: '80' } }).split('\n');
    assert.equal(lines.length, 3);
  });
});

describe('names from DHCP', () => {
  const ddns = { address: 'api.example', vip_ddns: 'true' };
  table([
    ['CP-149 without vip_subnet', ddns, undefined],
    [
      'DHCPv6',
      { ...ddns, dns_mode: 'dual' },
      /dhcp_mode.*: DHCPv6 is not implemented yet; set dhcp_mode to ipv4/,
    ],
    ['DHCPv4 for a name of two families', { ...ddns, dns_mode: 'dual', dhcp_mode: 'ipv4' }, undefined],
    [
      'the balancer',
      { ...ddns, lb_enable: 'true' },
      /^env lb_enable="true": does not balance a VIP from DHCP/,
    ],
    [
      'without a holder',
      { ...ddns, vip_arp: 'false', vip_routingtable: 'true' },
      /^env vip_ddns="true": needs a holder of the lease.*; use ARP mode/,
    ],
    ['an address is nobody to ask for', { vip_ddns: 'true', lb_enable: 'true' }, undefined],
  ]);
});

describe('lease timings', () => {
  const lease = (duration: string, renew: string, retry: string) => ({
    vip_leaseduration: duration,
    vip_renewdeadline: renew,
    vip_retryperiod: retry,
  });
  table([
    ['5/3/1', lease('5', '3', '1'), undefined],
    ['3/2/1, the shortest', lease('3', '2', '1'), undefined],
    [
      '1/1/1',
      lease('1', '1', '1'),
      /lease duration must be greater than the renew deadline.*\n.*renew deadline must be greater/,
    ],
    [
      'duration equals renew',
      lease('10', '10', '2'),
      /env vip_leaseduration="10": lease duration must be greater/,
    ],
    [
      'renew is exactly retry × 1.2',
      lease('15', '12', '10'),
      /env vip_renewdeadline="12": renew deadline must be greater/,
    ],
    ['zero', lease('15', '10', '0'), /env vip_retryperiod="0": out of range; use a number from 1 to/],
    [
      'longer than a timer can wait',
      lease('2147484', '10', '2'),
      /env vip_leaseduration="2147484": out of range/,
    ],
  ]);
});

describe('lease names', () => {
  for (const name of ['plndr-cp-lock', 'ns1/foo', '/foo', 'a.b', '9', 'l'.repeat(253)])
    test(`${name} passes`, () => {
      assert.equal(load({ env: { ...working, vip_leasename: name } }).config.leaseName, name);
    });
  for (const name of [
    'ns1/',
    'a/b/c',
    'Upper',
    'under_score',
    '-a',
    'n.s/foo',
    ' foo',
    'a..b',
    'a.-b',
    'a-.b',
    `ns/${'l'.repeat(254)}`,
  ])
    test(`${name} is refused`, () => {
      const text = refusal({ env: { ...working, vip_leasename: name } });
      assert.match(
        text,
        /^env vip_leasename=".*": is no name that a Lease can have; write NAME or NAMESPACE/,
      );
    });
  test('the namespace of the leases has a name that a namespace can have', () => {
    for (const namespace of ['My NS', 'a/b', 'a.b', 'Upper', '-a', 'x'.repeat(64)])
      assert.match(
        refusal({ env: { ...working, cp_namespace: namespace } }),
        /^env cp_namespace=".*": is no name that a namespace can have; use lower-case letters/,
      );
    load({ env: { ...working, cp_namespace: 'x'.repeat(63) } });
  });
  test('annotations that the API server would refuse with every try are refused at start', () => {
    const lease = (annotations: object) => ({
      ...working,
      vip_leaseannotations: JSON.stringify(annotations),
    });
    for (const key of [
      '',
      'a b',
      'a/b/c',
      '/a',
      'a/',
      '-a',
      'UPPER.example/-',
      'x'.repeat(64),
      'under_score/a',
    ])
      assert.match(refusal({ env: lease({ [key]: 'v' }) }), /: has a key that no annotation can have/, key);
    for (const key of ['a', 'A_b.c-d', 'example.com/Some-Key', 'x'.repeat(63)])
      load({ env: lease({ [key]: 'v' }) });
    assert.match(refusal({ env: lease({ a: 'v'.repeat(300_000) }) }), /: is longer than all annotations/);
    load({ env: { ...working, vip_leaseannotations: 'null' } });
  });
  test('that of the Services too', () => {
    const env = { ...working, svc_enable: 'true', svc_leasename: 'a/b/c' };
    assert.match(refusal({ env }), /^env svc_leasename/);
  });
});

describe('instance name', () => {
  test('CP-18 244 bytes or a space are refused, 243 bytes pass', () => {
    load({ env: { ...working, instance_name: 'a'.repeat(243) } });
    load({ env: { ...working, instance_name: 'A.b-c_9' } });
    const long = refusal({ env: { ...working, instance_name: 'a'.repeat(244) } });
    assert.match(long, /^env instance_name="a+": is 244 bytes, must not exceed 243; use at most 243/);
    const space = refusal({ env: { ...working, instance_name: 'a b' } });
    assert.match(space, /^env instance_name="a b": contains invalid character " "; use at most/);
    assert.match(refusal({ env: { ...working, instance_name: 'é'.repeat(122) } }), /is 244 bytes/);
    assert.match(refusal({ env: { ...working, instance_name: 'é' } }), /contains invalid character "é"/);
  });
});

describe('health checks', () => {
  test('CP-19 an address without http or https is refused', () => {
    const refused = (url: string): string =>
      refusal({ env: { ...working, control_plane_health_check_address: url } });
    assert.match(
      refused('localhost:6443/livez'),
      /has unsupported scheme localhost, expected http or https; write an absolute/,
    );
    assert.match(refused('ftp://127.0.0.1/livez'), /has unsupported scheme ftp, expected http or https/);
    for (const url of ['/livez', '127.0.0.1:6443/livez', 'https:', 'https://', 'https:/x', 'http:x'])
      assert.match(refused(url), /is not a valid URL/, url);
    load({ env: { ...working, control_plane_health_check_address: 'https://127.0.0.1:6443/livez' } });
    load({ env: { ...working, control_plane_health_check_address: 'HTTP://[::1]:6443/livez' } });
  });
  table([
    [
      'health_check_port below 1024',
      { health_check_port: '80' },
      /^env health_check_port="80": health check port is less than 1024; use 1024 to 65535/,
    ],
    ['health_check_port 1024', { health_check_port: '1024' }, undefined],
    [
      'a period of 0 would never wait',
      { control_plane_health_check_period_seconds: '0' },
      /out of range; use a number from 1/,
    ],
    ['a timeout of 0 is none', { control_plane_health_check_timeout_seconds: '0' }, undefined],
  ]);
});

describe('VIPs and their prefix lengths', () => {
  const legacy = { address: '', vip_address: '192.0.2.1' };
  const subnetMessage =
    /^vip_subnet: vip_subnet must be set if using vip_address instead of address environment variable/;
  table([
    ['vip_address without vip_subnet, ARP', legacy, subnetMessage],
    [
      'the same, BGP',
      { ...legacy, vip_arp: '', bgp_enable: '1', bgp_peers: '192.0.2.2:65000' },
      subnetMessage,
    ],
    ['the same, routing table', { ...legacy, vip_arp: '', vip_routingtable: '1' }, subnetMessage],
    ['WireGuard takes its addresses elsewhere', { ...legacy, vip_arp: '', vip_wireguard: '1' }, undefined],
    ['vip_address with vip_subnet', { ...legacy, vip_subnet: '32' }, undefined],
    ['address wins, so vip_address needs nothing', { vip_address: '192.0.2.1' }, undefined],
    [
      'auto with address',
      { vip_subnet: 'auto' },
      /^env vip_subnet="auto": auto subnet discovery cannot be used together/,
    ],
    [
      'auto outside ARP',
      { vip_subnet: 'auto', vip_arp: '', vip_routingtable: '1', address: '' },
      /only works in ARP mode/,
    ],
    [
      'auto for Services in ARP mode',
      { vip_subnet: 'auto,auto', address: '', cp_enable: '', svc_enable: '1' },
      undefined,
    ],
    [
      'an address with a prefix',
      { address: '192.0.2.1/24' },
      /^env address="192.0.2.1\/24": invalid IP address: 192.0.2.1\/24; write 192.0.2.1, and the/,
    ],
    ['no address at all', { address: '192.0.2.300' }, /invalid IP address: 192.0.2.300; write an IPv4/],
    ['the unspecified address', { address: '0.0.0.0' }, /0.0.0.0 is the unspecified address/],
    [
      'a leading slash',
      { vip_subnet: '/32' },
      /invalid prefix length "\/32" for IPv4; write the number alone/,
    ],
    ['three parts', { vip_subnet: '32,128,64' }, /invalid subnetMasks provided: 3 parts/],
  ]);
  test('CP-100 a wrong order of prefix lengths, or one beyond the family, is a clear error', () => {
    const message = refusal({ env: { ...working, address: '192.0.2.1,2001:db8::1', vip_subnet: '64,32' } });
    assert.equal(
      message,
      'env vip_subnet="64,32": provided CIDR mask 64 is greater than 32, the most for IPv4 (192.0.2.1); IPv4 comes first: 32,128',
    );
    assert.match(
      refusal({ env: { ...working, vip_subnet: '33' } }),
      /mask 33 is greater than 32.*use 1 to 32/,
    );
    assert.match(
      refusal({ env: { ...working, address: '2001:db8::1', vip_subnet: '129' } }),
      /mask 129 is greater than 128, the most for IPv6 \(2001:db8::1\)/,
    );
  });
});

describe('BGP', () => {
  const bgp = { vip_arp: '', bgp_enable: 'true', bgp_peers: '192.0.2.2:65001' };
  table([
    ['a peer is enough', bgp, undefined],
    ['AS 0', { ...bgp, bgp_as: '0' }, /^env bgp_as="0": AS 0 is not usable/],
    ['both sources', { ...bgp, bgp_sourceif: 'eth0', bgp_sourceip: '192.0.2.3' }, /are mutually exclusive/],
    ['no peer', { ...bgp, bgp_peers: '' }, /^bgp_peers: at least one peer is needed/],
    ['peers from annotations', { ...bgp, bgp_peers: '', annotation: 'example.com' }, undefined],
    ['the single peer', { ...bgp, bgp_peers: '', bgp_peeraddress: '192.0.2.2' }, undefined],
    [
      'a router id that is no IPv4 address',
      { ...bgp, bgp_routerid: '2001:db8::1' },
      /^env bgp_routerid=.*invalid router-id/,
    ],
    ['a router id of zeros', { ...bgp, bgp_routerid: '0.0.0.0' }, /^env bgp_routerid=.*not 0\.0\.0\.0/],
    ['a link-local peer', { ...bgp, bgp_peers: '[fe80::1]:65001' }, /is link-local; .*bgp_sourceif/],
    [
      'a link-local peer on a link',
      { ...bgp, bgp_peers: '[fe80::1]:65001', bgp_sourceif: 'eth0' },
      undefined,
    ],
    [
      'a source address that is none',
      { ...bgp, bgp_sourceip: 'eth0' },
      /^env bgp_sourceip="eth0": not an IP address/,
    ],
    [
      'a hold time that BGP forbids',
      { ...bgp, bgp_hold_time: '2' },
      /^env bgp_hold_time="2": not a hold time/,
    ],
    ['no hold time', { ...bgp, bgp_hold_time: '0' }, undefined],
    ['a peer with AS 0', { ...bgp, bgp_peers: '192.0.2.2:0' }, /peer 192\.0\.2\.2: AS 0 is not usable/],
    ['a peer twice', { ...bgp, bgp_peeraddress: '192.0.2.2' }, /^env bgp_peeraddress=.*named twice/],
    [
      'the single peer is no address',
      { ...bgp, bgp_peers: '', bgp_peeraddress: 'router' },
      /^env bgp_peeraddress="router": not an IP address/,
    ],
    [
      'a password that no TCP signature takes',
      { ...bgp, bgp_peers: '', bgp_peeraddress: '192.0.2.2', bgp_peerpass: 'x'.repeat(81) },
      /^env bgp_peerpass="\*\*\*": peer 192\.0\.2\.2: the password is too long/,
    ],
    ['without BGP nothing is asked', { bgp_as: '0' }, undefined],
  ]);
});

describe('the port that is balanced', () => {
  const other = { lb_enable: 'true', lb_port: '7443' };
  table([
    [
      'another one with direct return',
      { ...other, lb_fwdmethod: 'DirectRoute' },
      /^env lb_port="7443": is not port=6443, and lb_fwdmethod=directroute cannot translate ports; set lb_port to 6443, or lb_fwdmethod to masquerade$/,
    ],
    [
      'the default one beside another port of the API server',
      { lb_enable: 'true', port: '443', lb_fwdmethod: 'tunnel' },
      /^lb_port: is not port=443, and lb_fwdmethod=tunnel cannot translate/,
    ],
    ['another one, translated', { ...other, lb_fwdmethod: 'masquerade' }, undefined],
    ['the same with direct return', { ...other, lb_fwdmethod: 'directroute', port: '7443' }, undefined],
    ['nothing is balanced', { ...other, lb_fwdmethod: 'directroute', lb_enable: '' }, undefined],
    [
      'no control plane',
      { ...other, lb_fwdmethod: 'directroute', cp_enable: '', svc_enable: 'true' },
      undefined,
    ],
  ]);
  for (const method of ['', 'local'])
    test(`with lb_fwdmethod="${method}", as manifests have it, it is translated, and a warning says so`, () => {
      const { config, sources, warnings } = load({ env: { ...working, ...other, lb_fwdmethod: method } });
      assert.equal(config.loadBalancerForwardingMethod, 'masquerade');
      assert.deepEqual(sources.loadBalancerForwardingMethod, { kind: 'derived', from: 'lb_port' });
      assert.match(
        warnings.join(),
        /lb_port=7443 is not port=6443, and lb_fwdmethod=local cannot .*using masquerade/,
      );
      const same = load({ env: { ...working, lb_enable: 'true', lb_fwdmethod: method } });
      assert.equal(same.config.loadBalancerForwardingMethod, 'local');
      assert.deepEqual(same.warnings, []);
    });
});

describe('routing-table mode', () => {
  const mode = { vip_arp: 'false', vip_routingtable: 'true' };
  table([
    [
      'a type of which no route to a VIP can be',
      { ...mode, vip_routingtabletype: '6' },
      /^env vip_routingtabletype="6": is no type that a route to a VIP over a link can have; use 1 \(unicast\) or 2 \(local\)/,
    ],
    [
      'the table of the kernel',
      { ...mode, vip_routingtableid: '255' },
      /^env vip_routingtableid="255": is the table in which the kernel keeps its own addresses; use .* 198/,
    ],
  ]);
  for (const env of [
    { ...mode, vip_routingtableid: '0', vip_routingtabletype: '0' },
    { ...mode, vip_routingtableid: '254', vip_routingtabletype: '2' },
    { vip_routingtableid: '255', vip_routingtabletype: '6' },
  ])
    test(`${JSON.stringify(env)} passes`, () => {
      load({ env: { ...working, ...env } });
    });
});

describe('others', () => {
  table([
    [
      'lease annotations that are no object of strings',
      { vip_leaseannotations: '{"a":1}' },
      /^env vip_leaseannotations="{\\"a\\":1}": not a JSON object of strings/,
    ],
    [
      'a debounce time that is too short',
      { svc_enable: '1', debounce_time: '100ms' },
      /^env debounce_time="100ms": is below 200ms/,
    ],
    ['a debounce time without unit', { debounce_time: '5' }, /not a duration; write a number with a unit/],
  ]);
  test('an unknown election type is refused', () => {
    assert.match(
      refusal({ env: working, argv: ['--leaderElectionType=zookeeper'] }),
      /^flag --leaderElectionType="zookeeper": not supported; use one of kubernetes, etcd/,
    );
    assert.equal(
      load({ env: working, argv: ['--leaderElectionType='] }).config.leaderElectionType,
      'kubernetes',
    );
  });
});
