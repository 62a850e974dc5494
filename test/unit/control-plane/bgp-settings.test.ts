import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allPeers } from '../../../src/config/index.ts';
import { planSpeaker, readBgpAnnotations, type BgpAnnotations } from '../../../src/control-plane/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import type { Address } from '../../../src/linux/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { loadConfig } from '../config/helpers.ts';
import { observedAddress } from '../node/observed-address.ts';

const P = 'example.com';
const complete = {
  [`${P}/node-asn`]: '65010',
  [`${P}/peer-asn`]: '65500',
  [`${P}/src-ip`]: '10.0.0.11',
  [`${P}/peer-ip`]: '169.254.255.1, 169.254.255.2',
};

describe('CP-186 CP-187 the BGP annotations of a Node', () => {
  const bgp: BgpAnnotations = {
    localAs: 65_010,
    sourceIp: ip('10.0.0.11'),
    peerAs: 65_500,
    peers: [ip('169.254.255.1'), ip('169.254.255.2')],
    password: '',
    multiHop: false,
  };

  test('are read in both spellings', () => {
    assert.deepEqual(readBgpAnnotations(complete, P), { complete: true, bgp });
    const indexed = Object.fromEntries(
      Object.entries(complete).map(([key, value]) => [key.replace('/', '/bgp-peers-0-'), value]),
    );
    assert.deepEqual(readBgpAnnotations(indexed, P), { complete: true, bgp });
  });

  test('may have a password, in base64, and more than one hop', () => {
    const more = { ...complete, [`${P}/bgp-pass`]: 'c2VzYW1l', [`${P}/peer-multi-hop`]: 'true' };
    const verdict = readBgpAnnotations(more, P);
    assert.deepEqual(verdict, { complete: true, bgp: { ...bgp, password: 'sesame', multiHop: true } });
  });

  test('may spread the peers over several indexes', () => {
    const spread = {
      ...complete,
      [`${P}/peer-ip`]: '169.254.255.1',
      [`${P}/bgp-peers-10-peer-ip`]: '10.0.0.3',
      [`${P}/bgp-peers-2-peer-ip`]: '10.0.0.2',
    };
    const verdict = readBgpAnnotations(spread, P);
    assert.ok(verdict.complete);
    assert.deepEqual(verdict.bgp.peers, ['169.254.255.1', '10.0.0.2', '10.0.0.3']);
  });

  const incomplete: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ 'node-asn': '' }, 'node-asn is missing'],
    [{ 'node-asn': 'x' }, 'node-asn is no AS number'],
    [{ 'node-asn': '0' }, 'node-asn is no AS number'],
    [{ 'peer-asn': '4294967296' }, 'peer-asn is no AS number'],
    [{ 'src-ip': '2001:db8::1' }, 'src-ip is no IPv4 address'],
    [{ 'peer-ip': '' }, 'peer-ip is missing'],
    [{ 'peer-ip': '10.0.0.1,router' }, 'peer-ip is no list of addresses'],
    [{ 'bgp-pass': '%%' }, 'bgp-pass is not base64'],
    [{ 'bgp-pass': Buffer.alloc(81, 'x').toString('base64') }, 'bgp-pass has more than 80 bytes'],
    [{ 'peer-multi-hop': 'yes' }, 'peer-multi-hop is not true or false'],
  ];
  for (const [change, reason] of incomplete) {
    test(`are not enough when ${reason}`, () => {
      const changed = Object.entries(change).map(([key, value]) => [`${P}/${key}`, value] as const);
      const verdict = readBgpAnnotations({ ...complete, ...Object.fromEntries(changed) }, P);
      assert.deepEqual(verdict, { complete: false, reason: `annotation ${P}/${reason}` });
    });
  }

  test('of another prefix are somebody else’s', () => {
    assert.equal(readBgpAnnotations(complete, 'other.example.com').complete, false);
  });
});

/** A node with `eth0` (both families, a VIP among its addresses) and `eth1` (IPv4 only). */
async function host() {
  const kernel = new FakeKernel({ clock: new FakeClock() });
  const [eth0, eth1] = [kernel.addLink({ name: 'eth0' }), kernel.addLink({ name: 'eth1' })];
  const put = (index: number, address: string, deprecated = false): Address =>
    observedAddress(index, address, { prefixLength: 24, deprecated, protocol: 0 });
  return {
    links: await kernel.links(),
    addresses: [
      put(eth0.index, '192.0.2.100', true),
      put(eth0.index, '10.0.0.11'),
      put(eth0.index, '2001:db8:ffff::1', true),
      put(eth0.index, 'fe80::1'),
      put(eth0.index, '2001:db8:1::11'),
      put(eth1.index, '10.1.0.11'),
    ],
    link: 'eth0',
  };
}

async function plan(env: Readonly<Record<string, string>>, annotations?: BgpAnnotations) {
  const { config } = loadConfig({
    argv: [],
    env: { bgp_enable: 'true', cp_enable: 'true', address: '192.0.2.100', vip_nodename: 'n', ...env },
    readFile: () => '',
    hostname: 'n',
  });
  return planSpeaker(config, allPeers(config), annotations, await host());
}

async function planned(env: Readonly<Record<string, string>>, annotations?: BgpAnnotations) {
  const made = await plan(env, annotations);
  assert.ok('options' in made);
  const [peer] = made.options.peers;
  assert.ok(peer !== undefined);
  return { ...made, peer };
}

const peers = (text: string): Readonly<Record<string, string>> => ({ bgp_peers: text });

describe('the sessions that settings ask for', () => {
  test('BGP-07 timers 30, 10 and 10 s by default', async () => {
    const { options } = await planned(peers('10.0.0.1:65001'));
    const { holdTime, keepaliveInterval, connectRetry } = options;
    assert.deepEqual([holdTime, keepaliveInterval, connectRetry], [30, 10, 10]);
  });

  test('BGP-08 hop limit 1 to another AS, 50 with multihop, the system’s own inside ours; the password', async () => {
    const { options } = await planned(peers('10.0.0.1:65001,10.0.0.2:65001:sesame:true,10.0.0.3:65000'));
    assert.deepEqual(
      options.peers.map(({ ttl, password }) => [ttl, password]),
      [
        [1, ''],
        [50, 'sesame'],
        [undefined, ''],
      ],
    );
  });

  test('BGP-02 BGP-03 ports, and the family of the peer’s own address', async () => {
    const { options } = await planned(peers('10.0.0.1:65001::false:1179,[2001:db8:1::1]:65001'));
    assert.deepEqual(
      options.peers.map(({ port, families }) => [port, families]),
      [
        [1179, [4]],
        [179, [6]],
      ],
    );
  });

  test('BGP-04 the single peer comes last', async () => {
    const single = {
      bgp_peeraddress: '10.0.0.9',
      bgp_peeras: '65009',
      bgp_peerpass: 'p',
      bgp_multihop: 'true',
    };
    const { options } = await planned({ ...peers('10.0.0.1:65001'), ...single });
    const last = options.peers.at(-1);
    assert.deepEqual([last?.address, last?.as, last?.password, last?.ttl], ['10.0.0.9', 65_009, 'p', 50]);
  });

  test('BGP-25 a source address is for peers of its family; a source link for all', async () => {
    const both = peers('10.0.0.1:65001,[2001:db8:1::1]:65001');
    const byAddress = await planned({ ...both, bgp_sourceip: '10.0.0.11' });
    assert.deepEqual(
      byAddress.options.peers.map(({ localAddress }) => localAddress),
      ['10.0.0.11', undefined],
    );
    const byLink = await planned({ ...both, bgp_sourceif: 'eth1' });
    assert.deepEqual(
      byLink.options.peers.map(({ device }) => device),
      ['eth1', 'eth1'],
    );
  });

  test('BGP-06 the router id: as given, of the link given, of the source, else of the node; never a VIP', async () => {
    const ids: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
      [{ bgp_routerid: '1.2.3.4', bgp_routerinterface: 'eth1' }, '1.2.3.4'],
      [{ bgp_routerinterface: 'eth1' }, '10.1.0.11'],
      [{ bgp_sourceip: '10.9.9.9' }, '10.9.9.9'],
      [{ bgp_sourceif: 'eth1' }, '10.1.0.11'],
      [{}, '10.0.0.11'],
    ];
    for (const [env, id] of ids)
      assert.equal((await planned({ ...peers('10.0.0.1:65001'), ...env })).options.routerId, id);
    const none = await plan({ ...peers('10.0.0.1:65001'), bgp_routerinterface: 'eth9' });
    assert.ok('problem' in none && /bgp_routerid/.test(none.problem));
  });

  test('CP-186 annotations replace AS, router id, source and peers, and keep the timers', async () => {
    const verdict = readBgpAnnotations({ ...complete, [`${P}/peer-multi-hop`]: 'true' }, P);
    assert.ok(verdict.complete);
    const env = { ...peers('10.0.0.1:65001'), bgp_routerid: '1.2.3.4', bgp_hold_time: '9' };
    const { options } = await planned(env, verdict.bgp);
    assert.equal(options.localAs, 65_010);
    assert.equal(options.routerId, '10.0.0.11');
    assert.equal(options.holdTime, 9);
    assert.deepEqual(
      options.peers.map(({ address, as, localAddress, ttl }) => [address, as, localAddress, ttl]),
      [
        ['169.254.255.1', 65_500, '10.0.0.11', 50],
        ['169.254.255.2', 65_500, '10.0.0.11', 50],
      ],
    );
  });
});

describe('BGP-21 the BFD field of a peer', () => {
  const bfdOf = async (field: string, multiHop = false) => {
    const { peer, warnings } = await planned(peers(`10.0.0.1:65001::${multiHop}:::${field}`));
    return { bfd: peer.bfd, warnings };
  };

  test('is milliseconds, and goes with multihop', async () => {
    assert.deepEqual(await bfdOf('true;250;200;5'), {
      bfd: { isMultihop: false, rxMs: 250, txMs: 200, multiplier: 5 },
      warnings: [],
    });
    assert.equal((await bfdOf('true;250;200;5', true)).bfd?.isMultihop, true);
    assert.equal((await bfdOf('false;250;200;5')).bfd, undefined);
    assert.equal((await planned(peers('10.0.0.1:65001'))).peer.bfd, undefined);
  });

  test('with 0 means the defaults', async () => {
    assert.deepEqual(await bfdOf('true;0;0;0'), {
      bfd: { isMultihop: false, rxMs: 300, txMs: 300, multiplier: 3 },
      warnings: [],
    });
  });

  test('that cannot be kept is brought into range, and microseconds are noticed', async () => {
    const small = await bfdOf('true;1;300;3');
    assert.equal(small.bfd?.rxMs, 10);
    assert.match(small.warnings.join(), /a BFD receive interval of 1 ms is not possible, using 10 ms/);
    assert.match((await bfdOf('true;300000;300000;3')).warnings.join(), /BFD intervals are milliseconds/);
    assert.equal((await bfdOf('true;300;4294967295;3')).bfd?.txMs, 4_294_967);
  });
});

describe('the next hop of the other family', () => {
  const hops = async (env: Readonly<Record<string, string>>) => {
    const { peer, warnings } = await planned(env);
    return { families: peer.families, nextHops: peer.nextHops, warnings };
  };
  const four = '10.0.0.1:65001';

  test('BGP-16 fixed: the peer’s own before the global one', async () => {
    const global = { mpbgp_nexthop: 'fixed', mpbgp_ipv6: '2001:db8:9::1', mpbgp_ipv4: '10.9.0.1' };
    assert.deepEqual(await hops({ ...peers(four), ...global }), {
      families: [4, 6],
      nextHops: { ipv6: '2001:db8:9::1' },
      warnings: [],
    });
    assert.deepEqual(
      (await hops({ ...peers('[2001:db8:1::1]:65001'), ...global })).nextHops,
      { ipv4: '10.9.0.1' },
      'the session’s own family is left alone',
    );
    const own = `${four}::false::mpbgp_nexthop=fixed;mpbgp_ipv6=[2001:db8:8::1]`;
    assert.deepEqual((await hops({ ...peers(own), ...global })).nextHops, { ipv6: '2001:db8:8::1' });
    assert.deepEqual((await hops(peers(own))).nextHops, { ipv6: '2001:db8:8::1' });
  });

  test('BGP-17 auto_sourceip: the other family’s address on the link of the source address', async () => {
    const env = { ...peers(four), mpbgp_nexthop: 'auto_sourceip', bgp_sourceip: '10.0.0.11' };
    assert.deepEqual((await hops(env)).nextHops, { ipv6: '2001:db8:1::11' });
  });

  test('BGP-18 auto_sourceif: of the source link', async () => {
    const env = { ...peers(four), mpbgp_nexthop: 'auto_sourceif', bgp_sourceif: 'eth0' };
    assert.deepEqual((await hops(env)).nextHops, { ipv6: '2001:db8:1::11' });
  });

  const misconfigured: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ['fixed without an address', { mpbgp_nexthop: 'fixed' }, /mpbgp_ipv6 is no IPv6 address/],
    ['auto_sourceip without a source', { mpbgp_nexthop: 'auto_sourceip' }, /bgp_sourceip=/],
    [
      'auto_sourceif on a link of one family',
      { mpbgp_nexthop: 'auto_sourceif', bgp_sourceif: 'eth1' },
      /bgp_sourceif=eth1 has not an address of each family/,
    ],
    ['a mode that does not exist', { mpbgp_nexthop: 'magic' }, /mpbgp_nexthop=magic is not supported/],
  ];
  for (const [name, env, warning] of misconfigured) {
    test(`BGP-19 ${name}: plain BGP of one family, with a warning`, async () => {
      const { families, nextHops, warnings } = await hops({ ...peers(four), ...env });
      assert.deepEqual(families, [4]);
      assert.deepEqual(nextHops, {});
      assert.match(warnings.join(), warning);
    });
  }
});
