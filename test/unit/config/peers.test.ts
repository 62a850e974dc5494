import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allPeers, displayValue } from '../../../src/config/index.ts';
import { parsePeer, peersCodec, peerText, type PeerSetting } from '../../../src/config/peers.ts';
import { load, read, working } from './helpers.ts';
import { plainPeer } from './reference.ts';

describe('the grammar of one peer', () => {
  const good: readonly [string, Partial<PeerSetting>][] = [
    ['192.0.2.1:65000', {}],
    ['192.0.2.1:65000::false', {}],
    ['192.0.2.1:65000::false:180', { port: 180 }],
    ['192.0.2.1:65000::false:0', {}],
    ['192.0.2.1:65000:secret:true', { password: 'secret', multiHop: true }],
    [
      '[fd00::1]:65501::false::mpbgp_nexthop=auto_sourceif',
      { address: 'fd00::1', as: 65501, mpbgpNexthop: 'auto_sourceif' },
    ],
    [
      '[fd00::1]:65501::false:::true;300;200;4',
      { address: 'fd00::1', as: 65501, bfd: { enabled: true, rxMs: 300, txMs: 200, multiplier: 4 } },
    ],
    [
      '192.0.2.1:65000::::mpbgp_nexthop=fixed;mpbgp_ipv6=[2001:db8::9]',
      { mpbgpNexthop: 'fixed', mpbgpIpv6: '2001:db8::9' },
    ],
    ['unnumbered:eth0', { address: '', interface: 'eth0', as: 0 }],
    ['unnumbered:eth1:65000::true', { address: '', interface: 'eth1', multiHop: true }],
    ['192.0.2.1:4294967295', { as: 4_294_967_295 }],
    ['[fd00::2]:65000:secret:true', { address: 'fd00::2', password: 'secret', multiHop: true }],
    [
      'unnumbered:eth1:65000::true::mpbgp_nexthop=auto_sourceif',
      { address: '', interface: 'eth1', multiHop: true, mpbgpNexthop: 'auto_sourceif' },
    ],
  ];
  for (const [text, differences] of good)
    test(`BGP-01 ${text}`, () => {
      const peer = { ...plainPeer, ...differences };
      assert.deepEqual(parsePeer(text), { value: peer });
      assert.deepEqual(parsePeer(peerText(peer)), { value: peer }, 'and back from its own text');
    });

  const bad: readonly string[] = [
    ':::::::',
    '192.0.2.1',
    '192.0.2.1:',
    '192.0.2.1:x',
    '192.0.2.1:4294967296',
    '192.0.2.1:65000/mpbgp_nexthop',
    '192.0.2.1:65000;x=y',
    '[fd00::2:65000',
    'fd00::2:65000',
    '[192.0.2.1]:65000',
    'unnumbered:',
    'peer.example:65000',
    '192.0.2.1:65000::maybe',
    '192.0.2.1:65000:::65536',
    '192.0.2.1:65000::::foo=1',
    '192.0.2.1:65000::::mpbgp_ipv4',
    '192.0.2.1:65000:::::true;300;300',
    '192.0.2.1:65000:::::true;a;300;3',
  ];
  for (const text of bad) test(`BGP-01 refused: ${text}`, () => assert.ok('problem' in parsePeer(text)));
});

test('BGP-01 a list of peers: empty items are skipped, and no peer at all is refused', () => {
  assert.deepEqual(peersCodec.parse(',192.0.2.1:65000,,', 'env'), { value: [plainPeer] });
  const env = {
    ...working,
    vip_arp: 'false',
    bgp_enable: 'true',
    bgp_as: '65000',
    bgp_routerid: '192.0.2.9',
  };
  assert.throws(() => load({ argv: ['--bgppeers='], env }), /at least one peer is needed/);
});

test('CP-35 peers given by flags reach the daemon’s configuration, beside those of the environment', () => {
  const env = { ...working, vip_arp: 'false', bgp_enable: 'true' };
  const flags = load({
    argv: ['--bgppeers', '192.0.2.1:65000,[fd00::1]:65001', '--bgppeers=192.0.2.3:1'],
    env,
  });
  assert.deepEqual(
    allPeers(flags.config).map(({ address, as }) => [address, as]),
    [
      ['192.0.2.1', 65000],
      ['fd00::1', 65001],
      ['192.0.2.3', 1],
    ],
  );
  const single = load({
    argv: ['--peerAddress=192.0.2.9', '--peerAS=65009', '--peerPass=geheim', '--multihop'],
    env: { ...env, bgp_peers: '192.0.2.1:65000' },
  });
  assert.deepEqual(allPeers(single.config), [
    plainPeer,
    { ...plainPeer, address: '192.0.2.9', as: 65009, password: 'geheim', multiHop: true },
  ]);
});

test('a file may list peers as strings or as objects', () => {
  const objects = `
bgpConfig:
  as: 65010
  peers:
    - {address: 192.0.2.1, as: 65000, password: 0123, multiHop: yes, port: 1790}
    - Interface: eth0
      bfdEnabled: true
      bfdReceiveInterval: 100
      mpbgpIPv6: 2001:db8::9
`;
  const { config, problems } = read({ argv: ['--config-file=c.yaml'], files: { 'c.yaml': objects } });
  assert.deepEqual(problems, []);
  assert.deepEqual(config.bgpPeers, [
    { ...plainPeer, password: '0123', multiHop: true, port: 1790 },
    {
      ...plainPeer,
      address: '',
      interface: 'eth0',
      as: 0,
      mpbgpIpv6: '2001:db8::9',
      bfd: { enabled: true, rxMs: 100, txMs: 300, multiplier: 3 },
    },
  ]);
  const strings = read({
    argv: ['--config-file=c.json'],
    files: { 'c.json': '{"bgpPeers":["192.0.2.1:65000"]}' },
  });
  assert.deepEqual(strings.config.bgpPeers, [plainPeer]);
  const broken = read({ argv: ['--config-file=c.json'], files: { 'c.json': '{"bgpPeers":[1]}' } });
  assert.equal(broken.problems[0]?.problem, 'peer 1: not an object and not a string');
});

test('passwords are hidden wherever peers are shown', () => {
  const shown = peersCodec.format([{ ...plainPeer, password: 'geheim' }]);
  assert.equal(shown, '192.0.2.1:65000:***:false');
  assert.equal(displayValue('bgpPeerPass', 'geheim'), '***');
  assert.equal(displayValue('bgpPeerPass', ''), '');
});
