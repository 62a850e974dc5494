import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkInterface,
  defaultConfig,
  defaultRouteLink,
  didYouMean,
  scanFlags,
  settingList,
  unimplemented,
} from '../../../src/config/index.ts';
import { formatDuration, parseGoDuration, parseGoInt } from '../../../src/config/go-syntax.ts';
import { load, read, working } from './helpers.ts';

describe('flags are taken apart as pflag does', () => {
  const scan = (...argv: string[]) => {
    const { uses, words, help, problems } = scanFlags(argv, settingList);
    return {
      uses: Object.fromEntries([...uses].map(([name, use]) => [name, use.texts])),
      words,
      help,
      problems,
    };
  };
  const nothing = { uses: {}, words: [], help: false, problems: [] };

  test('values with = or as the next argument; booleans only with =', () => {
    assert.deepEqual(scan('--arp', '--port=1', '--interface', 'eth0', '--bgp=false', 'manager'), {
      ...nothing,
      uses: { enableArp: ['true'], port: ['1'], interface: ['eth0'], enableBgp: ['false'] },
      words: ['manager'],
    });
  });

  test('a value may begin with a dash or be empty', () => {
    assert.deepEqual(scan('--log', '-4', '--leaseName', '', '--vip=').uses, {
      logging: ['-4'],
      leaseName: [''],
      vip: [''],
    });
  });

  test('one-letter flags', () => {
    for (const argv of [['-n', 'x'], ['-nx'], ['-n=x']])
      assert.deepEqual(scan(...argv).uses, { namespace: ['x'] });
    assert.equal(scan('-h').help, true);
    assert.equal(scan('--help').help, true);
  });

  test('words may stand anywhere, -- ends the flags, a dash alone is a word', () => {
    assert.deepEqual(scan('--arp', 'manager', '-', '--', '--bgp', '-n').words, [
      'manager',
      '-',
      '--bgp',
      '-n',
    ]);
  });

  test('repeated uses are kept in order', () => {
    assert.deepEqual(scan('--port=1', '--port', '2').uses, { port: ['1', '2'] });
    assert.equal(read({ argv: ['--port=1', '--port', '2'] }).config.port, 2);
    assert.deepEqual(read({ argv: ['--etcdEndpoints=a,b', '--etcdEndpoints', 'c'] }).config.etcdEndpoints, [
      'a',
      'b',
      'c',
    ]);
  });

  test('what is wrong is said in full', () => {
    assert.deepEqual(scan('--port').problems, ['flag needs an argument: --port']);
    assert.deepEqual(scan('--port', '--nope=1', '--=x', '-z').problems, [
      'unknown flag: --',
      'unknown shorthand flag: -z',
    ]);
    assert.match(scan('-arp').problems.join(), /^unknown shorthand flag: -arp; did you mean --arp/);
    assert.deepEqual(scan('--ARP').problems, ['unknown flag: --ARP; did you mean --arp?']);
  });

  test('CP-06 --loseLeadershiptTimeoutSeconds works in both spellings', () => {
    for (const flag of ['loseLeadershiptTimeoutSeconds', 'loseLeadershipTimeoutSeconds'])
      for (const argv of [[`--${flag}`, '5'], [`--${flag}=5`]])
        assert.equal(load({ argv, env: working }).config.loseLeadershipTimeoutSeconds, 5);
  });
});

describe('Go literals', () => {
  test('numbers with base 0', () => {
    const rows: readonly [string, number][] = [
      ['0', 0],
      ['-0', -0],
      ['010', 8],
      ['0o10', 8],
      ['0_7', 7],
      ['0b101', 5],
      ['0X_ff', 255],
      ['-0x10', -16],
      ['+1_000', 1000],
      ['9223372036854775807', 2 ** 63],
    ];
    for (const [text, value] of rows) assert.equal(parseGoInt(text, 0), value, text);
    for (const text of [
      '',
      '+',
      '08',
      '0x',
      '0b2',
      '0o',
      '1__0',
      '1_',
      '_1',
      '1e3',
      '1.0',
      ' 1',
      '0xg',
      '--1',
      '١',
    ])
      assert.equal(parseGoInt(text, 0), Number.NaN, text);
  });

  test('numbers with base 10', () => {
    assert.deepEqual(
      ['010', '-4', '+7'].map((text) => parseGoInt(text, 10)),
      [10, -4, 7],
    );
    for (const text of ['', '0x1', '1_0', '1.5', ' 1', '1 '])
      assert.equal(parseGoInt(text, 10), Number.NaN, text);
  });

  test('durations', () => {
    const rows: readonly [string, number][] = [
      ['0', 0],
      ['0s', 0],
      ['200ms', 200],
      ['1m30s', 90_000],
      ['1.5h', 5_400_000],
      ['.5s', 500],
      ['1us', 0.001],
      ['-2s', -2000],
    ];
    for (const [text, ms] of rows) assert.equal(parseGoDuration(text), ms, text);
    for (const text of ['', '5', 's', '1x', '1s ', '1 s', '-', '1..5s', '1s5'])
      assert.equal(parseGoDuration(text), undefined, text);
    assert.deepEqual([0, 250, 1500, 90_000].map(formatDuration), ['0s', '250ms', '1.5s', '90s']);
  });
});

describe('the link for VIPs', () => {
  const link = (operState: string) => ({ name: 'eth0', operState });

  test('must exist and be up, unless told otherwise', () => {
    assert.deepEqual(checkInterface('eth0', link('up'), false), { usable: true });
    assert.deepEqual(checkInterface('auto', undefined, false), { usable: true });
    const missing = checkInterface('eth0', undefined, true);
    assert.match(
      'problem' in missing ? missing.problem : '',
      /^eth0 is not valid interface, reason: there is no link/,
    );
    const down = checkInterface('eth0', link('down'), false);
    assert.match(
      'problem' in down ? down.problem : '',
      /^eth0 is not valid interface, reason: operational state of eth0 is down/,
    );
    for (const [state, allowed] of [
      ['down', true],
      ['dormant', true],
      ['unknown', false],
    ] as const) {
      const warning = `operational state of eth0 is ${state}; using it anyway`;
      assert.deepEqual(checkInterface('eth0', link(state), allowed), { usable: true, warning });
    }
  });

  const route = (family: 4 | 6, indexes: readonly (number | undefined)[], more: object = {}) => ({
    family,
    destination: undefined,
    table: 254,
    type: 1,
    priority: undefined,
    nextHops: indexes.map((ifindex) => ({ ifindex })),
    ...more,
  });

  test('comes from the IPv4 default route, else from the IPv6 one', () => {
    assert.equal(defaultRouteLink([route(6, [6]), route(4, [4])]), 4);
    assert.equal(defaultRouteLink([route(6, [6])]), 6);
    assert.equal(defaultRouteLink([]), undefined);
  });

  test('of a multipath route the first next hop with a link counts', () => {
    assert.equal(defaultRouteLink([route(4, [undefined, 0, 7, 8])]), 7);
    assert.equal(defaultRouteLink([route(4, [undefined]), route(6, [9])]), 9);
  });

  test('the lowest priority number wins, per family', () => {
    assert.equal(
      defaultRouteLink([route(4, [1], { priority: 200 }), route(4, [2], { priority: 100 }), route(4, [3])]),
      3,
    );
    assert.equal(defaultRouteLink([route(6, [1]), route(6, [2], { priority: 100 })]), 2);
  });

  test('other tables, unreachable routes and other destinations do not count', () => {
    const others = [
      route(4, [1], { table: 100 }),
      route(4, [1], { type: 7 }),
      route(4, [1], { destination: { address: '192.0.2.0', length: 24 } }),
    ];
    assert.equal(defaultRouteLink(others), undefined);
    assert.equal(defaultRouteLink([route(4, [5], { destination: { address: '0.0.0.0', length: 0 } })]), 5);
  });
});

describe('what is not built yet', () => {
  const refused = (env: Readonly<Record<string, string>>, argv: readonly string[] = []) => {
    const { config, sources } = load({ env: { ...working, ...env }, argv });
    return unimplemented(config, sources);
  };

  test('is named as it was asked for', () => {
    assert.deepEqual(refused({}), []);
    assert.deepEqual(refused({ vip_arp: 'false', vip_wireguard: '1' }), [
      'not implemented yet: vip_wireguard=true (WireGuard mode)',
    ]);
    const mirror = { svc_enable: 'true', mirror_dest_interface: 'eth1' };
    assert.deepEqual(refused(mirror, ['--leaderElectionType', 'etcd']), [
      'not implemented yet: --leaderElectionType=etcd (election through etcd)',
      'not implemented yet: mirror_dest_interface=eth1 (traffic mirroring)',
    ]);
  });

  test('settings that only refine an unbuilt feature are no request for it', () => {
    assert.deepEqual(
      refused({ bgp_as: '65001', vip_routingtableid: '7', debounce_time: '1s', dns_mode: 'dual' }),
      [],
    );
  });

  test('of a part that is off nothing is asked for', () => {
    const carried = {
      enable_upnp: 'true',
      egress_clean: 'true',
      mirror_dest_interface: 'eth1',
      zebra_enable: 'true',
    };
    assert.deepEqual(refused({ ...carried, svc_enable: 'false' }), []);
    assert.deepEqual(refused({ ...carried, svc_enable: 'true' }).toSorted(), [
      'not implemented yet: egress_clean=true (egress)',
      'not implemented yet: enable_upnp=true (UPnP)',
      'not implemented yet: mirror_dest_interface=eth1 (traffic mirroring)',
    ]);
    const router = { bgp_enable: 'true', vip_arp: 'false', bgp_peers: '192.0.2.1:65001' };
    const bgp = refused({ ...carried, ...router });
    assert.deepEqual(bgp, ['not implemented yet: zebra_enable=true (routes for zebra)']);
  });

  test('covers every setting that is marked so', () => {
    for (const [name, setting] of settingList) {
      const { codec, default: fallback } = setting;
      if (setting.unbuilt === undefined) continue;
      assert.equal(setting.wants(fallback), false, name);
      const other = codec.type === 'bool' ? fallback !== true : codec.type === 'string' ? 'a.name' : 'etcd';
      const config = { ...defaultConfig, enableServices: true, enableBgp: true, [name]: other };
      assert.equal(unimplemented(config, read({}).sources).length, 1, name);
    }
  });
});

test('suggestions are close or absent', () => {
  assert.equal(didYouMean('managr', ['manager', 'manifest']), '; did you mean manager?');
  assert.equal(didYouMean('start', ['manager', 'service']), '');
  assert.equal(didYouMean('x'.repeat(100_000), ['manager']), '');
});
