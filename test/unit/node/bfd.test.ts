import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLength, ip } from '../../../src/lib/ip.ts';
import { errnoOf, KernelError } from '../../../src/linux/errors.ts';
import { createSpeaker } from '../../../src/node/index.ts';
import type { BfdOptions, PeerConfig } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakePeers } from './fake-peer.ts';
import { FakeUdpPaths } from './fake-udp.ts';
import { listening } from './listening.ts';

const router = ip('10.0.0.1');
const vip = ip('192.0.2.1');
const watched: BfdOptions = { isMultihop: false, rxMs: 100, txMs: 100, multiplier: 3 };

/** A speaker whose one peer is watched by BFD. */
function stage(bfd: Partial<BfdOptions> = {}, more: Partial<PeerConfig> = {}) {
  const clock = new FakeClock();
  const peers = new FakePeers();
  const paths = new FakeUdpPaths();
  const undecoded: string[] = [];
  const warnings: string[] = [];
  const speaker = createSpeaker({
    connect: peers.connect,
    openUdpPath: paths.open,
    clock,
    random: () => 1,
    log: listening(warnings),
    linkIndex: () => 2,
    onDecodeError: ({ protocol }) => undecoded.push(protocol),
  });
  speaker.follow({ all: () => [{ address: vip, length: hostLength(vip) }], wants: () => true });
  const start = (): void => {
    const peer: PeerConfig = {
      address: router,
      port: 179,
      as: 65_001,
      password: '',
      ttl: 1,
      localAddress: undefined,
      device: undefined,
      families: [4],
      nextHops: {},
      bfd: { ...watched, ...bfd },
      ...more,
    };
    const timers = { holdTime: 30, keepaliveInterval: 10, connectRetry: 10 };
    speaker.start({ localAs: 65_000, routerId: ip('10.0.0.11'), ...timers, host: 'node', peers: [peer] });
  };
  const states = (): readonly unknown[] => {
    const [status] = speaker.status();
    return [status?.state, status?.bfd];
  };
  return { clock, peers, paths, speaker, start, states, undecoded, warnings };
}

test('BGP-21 a path that fails takes the BGP session down at once, with the reason, and BGP tries again without waiting', async () => {
  const { clock, peers, paths, start, states, speaker } = stage();
  start();
  peers.last.establish();
  paths.last.comeUp();
  peers.last.heard();
  assert.deepEqual(states(), ['established', 'up']);
  // The peer sends every 200 ms, which is slower than we could take.
  await clock.advance(599);
  assert.deepEqual(states(), ['established', 'up']);
  await clock.advance(1);
  assert.deepEqual(states(), ['idle', 'down']);
  assert.deepEqual(peers.last.heard(), ['notification 6/10']);
  assert.equal(speaker.status()[0]?.reason, 'BFD down: nothing heard for the detection time');
  await clock.advance(1000);
  peers.last.establish();
  assert.deepEqual(states(), ['established', 'down']);
  assert.deepEqual(peers.last.heard().slice(2), ['+ 192.0.2.1 via 10.0.0.11']);
});

test('BGP-21 a peer without BFD keeps its BGP session, and so does one that switches BFD off', async () => {
  const { clock, peers, paths, start, states } = stage();
  start();
  peers.last.establish();
  await clock.advance(5000);
  assert.deepEqual(states(), ['established', 'down']);
  paths.last.comeUp();
  paths.last.say({ state: 'adminDown' });
  assert.deepEqual(states(), ['established', 'down']);
  paths.last.comeUp();
  paths.last.say({ state: 'down' });
  assert.deepEqual(states(), ['idle', 'down']);
});

test('a path that fails before there is a session changes nothing', async () => {
  const { clock, paths, start, states } = stage();
  start();
  paths.last.comeUp();
  assert.deepEqual(states(), ['connect', 'up']);
  await clock.advance(600);
  assert.deepEqual(states(), ['connect', 'down']);
});

test('packets that came while the process stood still count before silence does', async () => {
  const { clock, peers, paths, start, states } = stage();
  start();
  peers.last.establish();
  paths.last.comeUp();
  paths.last.waiting.push(paths.last.encode({ state: 'up' }));
  await clock.advance(600);
  assert.deepEqual(states(), ['established', 'up']);
  // One of another session is no sign of life.
  paths.last.waiting.push(paths.last.encode({ state: 'up', yourDiscriminator: 5 }), new Uint8Array(9));
  await clock.advance(600);
  assert.deepEqual(states(), ['idle', 'down']);
});

test('what is no BFD packet, or no BGP message, is counted', () => {
  const { peers, paths, start, undecoded } = stage();
  start();
  for (const datagram of [[], [1, 2, 3], Array.from({ length: 24 }, () => 0xff)])
    paths.last.bytes(Uint8Array.from(datagram));
  paths.last.comeUp();
  assert.deepEqual(undecoded, ['bfd', 'bfd', 'bfd']);
  peers.last.establish();
  peers.last.bytes(new Uint8Array(40));
  assert.deepEqual(undecoded.slice(3), ['bgp']);
});

test('BGP-21 intervals are milliseconds, from port 3784 of a neighbour and 4784 several hops away', async () => {
  const { clock, paths, start } = stage({ txMs: 250, rxMs: 400 }, { localAddress: ip('10.0.0.12') });
  start();
  assert.deepEqual(paths.last.options, {
    remote: router,
    port: 3784,
    isDirect: true,
    localAddress: '10.0.0.12',
  });
  paths.last.comeUp();
  const packet = paths.last.sent().at(-1);
  assert.deepEqual([packet?.desiredMinTxUs, packet?.requiredMinRxUs], [250_000, 400_000]);
  await clock.advance(1000);
  assert.equal(paths.last.sent().length, 4);
  const far = stage({ isMultihop: true }, { device: 'eth0' });
  far.start();
  const { port, isDirect, device, scopeId } = far.paths.last.options;
  assert.deepEqual([port, isDirect, device, scopeId], [4784, false, 'eth0', 2]);
});

test('a path that cannot be used is made anew, but not because nobody listens at its end', async () => {
  const failure = (errno: number): KernelError => new KernelError({ op: 'send datagram', errno });
  const { clock, paths, start, states } = stage();
  paths.failNext = failure(errnoOf.ENETUNREACH);
  start();
  assert.equal(paths.paths.length, 0);
  await clock.advance(1000);
  assert.equal(paths.paths.length, 1);
  paths.last.failure = failure(errnoOf.ECONNREFUSED);
  await clock.advance(1000);
  assert.equal(paths.last.isOpen, true);
  paths.last.failure = failure(errnoOf.EINVAL);
  await clock.advance(1000);
  assert.equal(paths.last.isOpen, false);
  await clock.advance(1000);
  assert.equal(paths.paths.length, 2);
  paths.last.comeUp();
  assert.equal(states()[1], 'up');
});

test('what a firewall on this node drops is said to be that, and the peer is heard all the same', async () => {
  const { clock, peers, paths, start, states, speaker, warnings } = stage();
  start();
  peers.last.establish();
  paths.last.comeUp();
  paths.last.failure = new KernelError({ op: 'send datagram', errno: errnoOf.EPERM });
  await clock.advance(400);
  assert.deepEqual(warnings, [
    'cannot send BFD packets, trying again: a firewall on this node drops them (EPERM)',
  ]);
  assert.equal(paths.last.isOpen, true);
  paths.last.say({ state: 'down' });
  assert.deepEqual(states(), ['idle', 'down']);
  assert.equal(speaker.status()[0]?.reason, 'BFD down: the neighbour says down');
});

test('stopping tells the peer that silence means nothing, and ends everything', async () => {
  const { clock, peers, paths, speaker, start } = stage();
  start();
  peers.last.establish();
  paths.last.comeUp();
  const stopped = speaker.stop();
  peers.last.finish();
  await stopped;
  assert.equal(paths.last.sent().at(-1)?.state, 'adminDown');
  assert.equal(paths.last.isOpen, false);
  paths.last.say({ state: 'down' });
  await clock.advance(5000);
  assert.deepEqual(clock.timers(), []);
  assert.equal(paths.paths.length, 1);
});
