import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, hostLength, ip, type Prefix } from '../../../src/lib/ip.ts';
import { errnoOf, KernelError } from '../../../src/linux/errors.ts';
import { createSpeaker } from '../../../src/node/index.ts';
import type { PeerConfig } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakePeers } from './fake-peer.ts';
import { FakeUdpPaths } from './fake-udp.ts';
import { listening } from './listening.ts';

const router = ip('10.0.0.1');
const plain: PeerConfig = {
  address: router,
  port: 179,
  as: 65_001,
  password: '',
  ttl: 1,
  localAddress: undefined,
  device: undefined,
  families: [4],
  nextHops: {},
};

function prefix(address: string): Prefix {
  return { address: ip(address), length: hostLength(ip(address)) };
}

function stage(peers: readonly PeerConfig[] = [plain]) {
  const clock = new FakeClock();
  const fake = new FakePeers();
  const paths = new FakeUdpPaths();
  const warnings: string[] = [];
  const speaker = createSpeaker({
    connect: fake.connect,
    openUdpPath: paths.open,
    clock,
    random: () => 1,
    log: listening(warnings),
    linkIndex: (name) => (name === 'eth0' ? 2 : undefined),
  });
  const wanted = new Map<string, Prefix>();
  speaker.follow({
    all: () => [...wanted.values()],
    wants: (each) => wanted.has(formatPrefix(each)),
  });
  const timers = { holdTime: 30, keepaliveInterval: 10, connectRetry: 10 };
  speaker.start({ localAs: 65_000, routerId: ip('10.0.0.11'), ...timers, host: 'node', peers });
  return {
    clock,
    fake,
    paths,
    speaker,
    warnings,
    want: (...addresses: readonly string[]) => {
      const changed = [...wanted.values(), ...addresses.map(prefix)];
      wanted.clear();
      for (const address of addresses) wanted.set(formatPrefix(prefix(address)), prefix(address));
      speaker.changed(changed);
    },
    state: () => speaker.status()[0]?.state,
  };
}

test('what is wanted is announced once the session is established, then only what changes', () => {
  const { fake, want, speaker } = stage();
  want('192.0.2.1', '192.0.2.2');
  fake.last.establish();
  assert.deepEqual(fake.last.heard(), [
    'open',
    'keepalive',
    '+ 192.0.2.1 via 10.0.0.11',
    '+ 192.0.2.2 via 10.0.0.11',
  ]);
  want('192.0.2.2', '192.0.2.3');
  assert.deepEqual(fake.last.heard(), ['- 192.0.2.1', '+ 192.0.2.3 via 10.0.0.11']);
  want('192.0.2.2', '192.0.2.3');
  assert.deepEqual(fake.last.heard(), [], 'said once');
  assert.deepEqual(speaker.reach(prefix('192.0.2.2')), { peers: 1, knowing: 1 });
  assert.deepEqual(speaker.reach(prefix('192.0.2.1')), { peers: 1, knowing: 0 });
});

test('BGP-26 CP-183 after a loss everything is announced anew, and nothing that was withdrawn meanwhile', async () => {
  const { fake, want, clock, state, speaker } = stage();
  want('192.0.2.1', '192.0.2.2');
  fake.last.establish();
  fake.last.refuse('read ECONNRESET');
  assert.equal(state(), 'idle');
  assert.deepEqual(speaker.status()[0]?.advertised, []);
  want('192.0.2.2', '192.0.2.3');
  await clock.advance(1000);
  assert.equal(fake.connections.length, 2);
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), ['+ 192.0.2.2 via 10.0.0.11', '+ 192.0.2.3 via 10.0.0.11']);
});

test('CP-183 an announcement that breaks the connection is announced again by the next one', async () => {
  const { fake, want, clock, state } = stage();
  fake.last.establish();
  const broken = fake.last;
  broken.onWrite = () => {
    broken.onWrite = undefined;
    broken.refuse('write EPIPE');
  };
  want('192.0.2.1');
  assert.equal(state(), 'idle');
  await clock.advance(1000);
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), ['+ 192.0.2.1 via 10.0.0.11']);
});

test('a family that was not agreed on, or has no next hop here, is not sent', () => {
  const { fake, want } = stage();
  want('192.0.2.1', '2001:db8::1');
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), ['+ 192.0.2.1 via 10.0.0.11']);
  const both = stage([{ ...plain, families: [4, 6] }]);
  both.want('2001:db8::1');
  both.fake.last.establish();
  assert.deepEqual(both.fake.last.heard().slice(2), [], 'no IPv6 next hop');
});

test('BGP-16 the other family goes to its own next hop', () => {
  const { fake, want } = stage([{ ...plain, families: [4, 6], nextHops: { ipv6: ip('2001:db8:1::11') } }]);
  want('192.0.2.1', '2001:db8::1');
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), [
    '+ 192.0.2.1 via 10.0.0.11',
    '+ 2001:db8::1 via 2001:db8:1::11',
  ]);
});

test('a peer that asks for its routes again gets all of them, once however often it asks', async () => {
  const { fake, want, clock } = stage();
  want('192.0.2.1');
  fake.last.establish();
  fake.last.heard();
  const asks = { type: 'route-refresh', afi: 1, safi: 1 } as const;
  for (let n = 0; n < 2; n++) {
    fake.last.say(asks, asks, asks);
    await clock.advance(100);
    assert.deepEqual(fake.last.heard(), ['+ 192.0.2.1 via 10.0.0.11']);
  }
});

test('BGP-07 BGP-11 stopping withdraws everything, says Cease, and waits for the end of the connection', async () => {
  const { fake, want, speaker } = stage();
  want('192.0.2.1', '192.0.2.2');
  fake.last.establish();
  fake.last.heard();
  let isOver = false;
  const stopped = speaker.stop().then(() => {
    isOver = true;
  });
  assert.deepEqual(fake.last.heard(), ['- 192.0.2.1', '- 192.0.2.2', 'notification 6/3']);
  assert.equal(fake.last.end, 'ended');
  await Promise.resolve();
  assert.equal(isOver, false);
  fake.last.finish();
  await stopped;
});

test('a peer that never closes is left after a second', async () => {
  const { fake, speaker, clock } = stage();
  fake.last.establish();
  const stopped = speaker.stop();
  await clock.advance(1000);
  await stopped;
  assert.equal(fake.last.end, 'destroyed');
  assert.deepEqual(clock.timers(), []);
});

test('stopping before there is a session ends the attempt and tells nobody', async () => {
  const { fake, speaker, clock } = stage();
  await speaker.stop();
  assert.equal(fake.last.end, 'destroyed');
  assert.deepEqual(fake.last.heard(), []);
  await clock.advance(60_000);
  assert.equal(fake.connections.length, 1);
});

test('BGP-07 BGP-25 what the socket is asked for; who is refused tries again soon, and at last every 10 s', async () => {
  const special = { password: 'sesame', ttl: 50, device: 'eth0', port: 1179 };
  const { fake, clock } = stage([{ ...plain, ...special, localAddress: ip('10.0.0.12') }]);
  assert.deepEqual(fake.last.target, {
    remote: router,
    port: 1179,
    md5Password: 'sesame',
    ttl: 50,
    localAddress: '10.0.0.12',
    device: 'eth0',
    scopeId: 2,
  });
  for (const [n, ms] of [1000, 2000, 4000, 8000, 10_000, 10_000].entries()) {
    fake.last.refuse();
    await clock.advance(ms - 1);
    assert.equal(fake.connections.length, n + 1);
    await clock.advance(1);
    assert.equal(fake.connections.length, n + 2);
  }
});

test('BGP-26 a router that closes connections while it starts, as FRR does, has a session soon after', async () => {
  const { fake, clock, state } = stage();
  for (const ms of [1000, 2000]) {
    fake.last.accept();
    fake.last.refuse('closed by the peer');
    await clock.advance(ms);
  }
  fake.last.establish();
  assert.equal(state(), 'established');
  // The refusals are forgotten.
  fake.last.refuse('read ECONNRESET');
  await clock.advance(1000);
  fake.last.refuse();
  await clock.advance(1000);
  assert.equal(fake.connections.length, 5);
});

test('BGP-08 a peer that never answers, as with another password, is in the log and the status, once', async () => {
  const { fake, clock, speaker, warnings, state } = stage();
  for (let n = 0; n < 3; n++) await clock.advance(10_000);
  assert.equal(fake.connections.length, 4);
  assert.equal(state(), 'connect');
  assert.match(speaker.status()[0]?.reason ?? '', /^not connected: no answer.*passwords differ/);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^no BGP session, trying again: not connected: no answer/);
  fake.last.establish();
  fake.last.refuse('read ECONNRESET');
  await clock.advance(1000);
  await clock.advance(10_000);
  assert.equal(warnings.length, 3, 'after a session it is news again');
});

test('a peer that closes again and again is in the log once, however it closes', async () => {
  const { fake, clock, warnings } = stage();
  for (const why of ['closed by the peer', 'read ECONNRESET', 'closed by the peer']) {
    fake.last.accept();
    fake.last.refuse(why);
    await clock.advance(10_000);
  }
  assert.deepEqual(warnings, ['no BGP session, trying again: connection lost: closed by the peer']);
});

test('an attempt that the kernel refuses at once is tried again', async () => {
  const { fake, clock, state } = stage();
  fake.last.refuse();
  fake.failNext = new KernelError({ op: 'connect', errno: errnoOf.EADDRNOTAVAIL });
  await clock.advance(1000);
  assert.equal(state(), 'active');
  await clock.advance(2000);
  assert.equal(fake.connections.length, 2);
});

test('garbage is answered and ends the session; what follows it is not read', () => {
  const { fake, state } = stage();
  fake.last.establish();
  fake.last.heard();
  fake.last.bytes(new Uint8Array(40));
  assert.deepEqual(fake.last.heard(), ['notification 1/1']);
  assert.equal(state(), 'idle');
  fake.last.say({ type: 'keepalive' });
  assert.deepEqual(fake.last.heard(), []);
});

test('a peer that does not read is given up rather than kept in memory', async () => {
  const { fake, want, state, clock } = stage();
  fake.last.establish();
  fake.last.unsentBytes = 2 << 20;
  want('192.0.2.1');
  assert.equal(fake.last.end, 'destroyed');
  assert.equal(state(), 'idle');
  await clock.advance(1000);
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), ['+ 192.0.2.1 via 10.0.0.11']);
});

test('what a session that breaks was told of both families is told again by the next one', async () => {
  const { fake, want, clock } = stage([
    { ...plain, families: [4, 6], nextHops: { ipv6: ip('2001:db8:1::11') } },
  ]);
  fake.last.establish();
  fake.last.unsentBytes = 2 << 20;
  want('192.0.2.1', '2001:db8::1');
  assert.equal(fake.last.end, 'destroyed');
  await clock.advance(1000);
  fake.last.establish();
  assert.deepEqual(fake.last.heard().slice(2), [
    '+ 192.0.2.1 via 10.0.0.11',
    '+ 2001:db8::1 via 2001:db8:1::11',
  ]);
});

test('silence for the hold time ends the session', async () => {
  const { fake, state, clock } = stage();
  fake.last.establish();
  await clock.advance(29_000);
  fake.last.say({ type: 'keepalive' });
  await clock.advance(29_000);
  assert.equal(state(), 'established');
  fake.last.heard();
  await clock.advance(1000);
  assert.deepEqual(
    fake.last.heard().filter((each) => each !== 'keepalive'),
    ['notification 4/0'],
  );
  assert.equal(state(), 'idle');
});
