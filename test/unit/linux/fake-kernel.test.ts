import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ip } from '../../../src/lib/ip.ts';
import type { KernelError } from '../../../src/linux/errors.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import type { AddressRequest, KernelEvent } from '../../../src/linux/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';

function vip(ifindex: number, address: string, change: Partial<AddressRequest> = {}): AddressRequest {
  const parsed = ip(address);
  return {
    ifindex,
    address: parsed,
    prefixLength: address.includes(':') ? 128 : 32,
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: 0,
    noDad: false,
    broadcast: undefined,
    protocol: 11,
    ...change,
  };
}

test('prints itself like ip', () => {
  const kernel = new FakeKernel();
  const eth0 = kernel.addLink({ name: 'eth0' });
  kernel.setAddress(vip(eth0.index, '192.0.2.1'));
  kernel.setAddress(vip(eth0.index, '2001:db8::1', { noDad: true }));
  assert.equal(
    kernel.showAddresses(),
    [
      '1: lo inet 127.0.0.1/8 scope host valid_lft forever preferred_lft forever',
      '1: lo inet6 ::1/128 scope host valid_lft forever preferred_lft forever',
      '2: eth0 inet6 fe80::ff:fe00:2/64 scope link proto 3 valid_lft forever preferred_lft forever',
      '2: eth0 inet 192.0.2.1/32 scope global deprecated proto 11 valid_lft forever preferred_lft forever',
      '2: eth0 inet6 2001:db8::1/128 scope global deprecated nodad proto 11 valid_lft forever preferred_lft 0sec',
    ].join('\n'),
  );
  assert.equal(
    kernel.showLinks().split('\n')[1],
    '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP link/ether 02:00:00:00:00:02',
  );
});

test('duplicate address detection takes its time, and can fail', async () => {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  const eth0 = kernel.addLink({ name: 'eth0' });
  kernel.failDad('2001:db8::2');
  kernel.setAddress(vip(eth0.index, '2001:db8::1'));
  kernel.setAddress(vip(eth0.index, '2001:db8::2'));
  assert.match(kernel.showAddresses({ protocol: 11 }), /::1\/128 scope global tentative deprecated/);
  await clock.advance(1000);
  assert.match(kernel.showAddresses({ protocol: 11 }), /::1\/128 scope global deprecated/);
  assert.match(kernel.showAddresses({ protocol: 11 }), /::2\/128 scope global dadfailed tentative/);
});

test('a link that goes down loses IPv6 addresses; a recreated one has another ifindex and none', async () => {
  const kernel = new FakeKernel();
  const eth0 = kernel.addLink({ name: 'eth0' });
  const events: string[] = [];
  kernel.setAddress(vip(eth0.index, '192.0.2.1'));
  kernel.setAddress(vip(eth0.index, '2001:db8::1', { noDad: true }));
  kernel.watch(['link', 'address'], (event) => events.push(line(event)));
  kernel.setLinkDown('eth0');
  assert.match(kernel.showAddresses({ protocol: 11 }), /^2: eth0 inet 192.0.2.1\/32 [^\n]*$/);
  assert.deepEqual(events, []);
  await new FakeClock().flush();
  assert.deepEqual(events, ['link eth0 down', 'gone fe80::ff:fe00:2', 'gone 2001:db8::1']);
  const again = kernel.recreateLink('eth0');
  assert.notEqual(again.index, eth0.index);
  assert.equal(kernel.showAddresses({ protocol: 11 }), '');
  assert.throws(() => kernel.setAddress(vip(eth0.index, '192.0.2.1')), {
    errnoName: 'ENODEV',
    kind: 'retry',
  });
});

function line(event: KernelEvent): string {
  if (event.kind === 'link') return `link ${event.link.name} ${event.link.operState}`;
  return event.kind === 'address' ? `${event.change} ${event.address.address}` : event.kind;
}

test('lost events end in one resync; a failure is raised once, before any effect', async () => {
  const kernel = new FakeKernel();
  const eth0 = kernel.addLink({ name: 'eth0' });
  const events: string[] = [];
  kernel.watch(['address'], (event) => events.push(line(event)));
  kernel.loseEvents(() => kernel.putAddress('eth0', '192.0.2.7', 24));
  await new FakeClock().flush();
  assert.deepEqual(events, ['resync']);
  kernel.failNext('set address', errnoOf.EPERM);
  assert.throws(
    () => kernel.setAddress(vip(eth0.index, '192.0.2.1')),
    (error: KernelError) =>
      error.kind === 'capability' && error.message.includes('missing capability NET_ADMIN'),
  );
  assert.equal(kernel.showAddresses({ protocol: 11 }), '');
  kernel.setAddress(vip(eth0.index, '192.0.2.1'));
});

test('lifetimes run on the injected clock', async () => {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  const eth0 = kernel.addLink({ name: 'eth0' });
  kernel.setAddress(vip(eth0.index, '192.0.2.1', { validLifetime: 60, preferredLifetime: 10 }));
  await clock.advance(15_000);
  assert.match(
    kernel.showAddresses({ protocol: 11 }),
    /deprecated proto 11 valid_lft 45sec preferred_lft 0sec/,
  );
  await clock.advance(45_000);
  assert.equal(kernel.showAddresses({ protocol: 11 }), '');
});

test('frames: sent ones are recorded with their time, delivered ones pass the filter', async () => {
  const clock = new FakeClock({ now: 500 });
  const kernel = new FakeKernel({ clock });
  const eth0 = kernel.addLink({ name: 'eth0' });
  const got: number[] = [];
  // ldb [14]; jeq #7, accept, drop
  const filter = [
    [0x30, 0, 0, 14],
    [0x15, 0, 1, 7],
    [0x06, 0, 0, 65535],
    [0x06, 0, 0, 0],
  ] as const;
  const socket = kernel.openPacketSocket({
    ifindex: eth0.index,
    etherType: 0x0806,
    filter,
    onFrame: (frame) => got.push(frame[15] ?? 0),
  });
  const frame = (...tail: number[]): Uint8Array => Uint8Array.of(...new Uint8Array(12), 8, 6, ...tail);
  kernel.deliver('eth0', frame(7, 1));
  kernel.deliver('eth0', frame(8, 2));
  kernel.deliver('eth0', frame());
  await clock.flush();
  assert.deepEqual(got, [1]);
  socket.send(frame(9));
  assert.deepEqual(
    kernel.frames.map(({ at, link, frame: bytes }) => [at, link, bytes[14]]),
    [[500, 'eth0', 9]],
  );
  kernel.setLinkDown('eth0');
  assert.throws(() => socket.send(frame(9)), { errnoName: 'ENETDOWN', kind: 'retry' });
  socket.close();
  assert.deepEqual(kernel.openHandles, { watchers: 0, packetSockets: 0 });
});
