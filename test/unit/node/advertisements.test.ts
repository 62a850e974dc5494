import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, type Prefix } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { createNode } from '../../../src/node/index.ts';
import type { AdvertisementSpec, RoutesView, Spec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { addressOf } from './scene.ts';

const VIP = '192.0.2.1';

/** Stands in for the sessions: keeps what they would have told, with what the kernel had at that moment. */
class Told {
  readonly lines: string[] = [];
  view: RoutesView = { all: () => [], wants: () => false };
  private readonly known = new Set<string>();
  private readonly kernel: FakeKernel;

  constructor(kernel: FakeKernel) {
    this.kernel = kernel;
  }

  follow(view: RoutesView): void {
    this.view = view;
  }

  changed(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) {
      const text = `${prefix.address}/${prefix.length}`;
      const isWanted = this.view.wants(prefix);
      if (isWanted === this.known.has(text)) continue;
      if (isWanted) this.known.add(text);
      else this.known.delete(text);
      const isOnLink = this.kernel.showAddresses({ protocol: 248 }).includes(prefix.address);
      this.lines.push(`${isWanted ? '+' : '-'} ${text}, the address is ${isOnLink ? 'there' : 'not there'}`);
    }
  }

  reach(prefix: Prefix): { readonly peers: number; readonly knowing: number } {
    return { peers: 1, knowing: this.known.has(`${prefix.address}/${prefix.length}`) ? 1 : 0 };
  }

  take(): readonly string[] {
    return this.lines.splice(0);
  }
}

async function stage() {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  const told = new Told(kernel);
  const node = createNode({ kernel, clock, log: silentLogger, advertiser: told });
  await node.start();
  return { clock, kernel, told, node };
}

function advertisement(vip = VIP, more: Partial<AdvertisementSpec> = {}): AdvertisementSpec {
  return { kind: 'advertisement', vip: ip(vip), link: 'eth0', ...more };
}

function both(vip = VIP): readonly Spec[] {
  return [addressOf(vip), advertisement(vip)];
}

test('BGP-10 a VIP is advertised as a host route once its address is there, and withdrawn before it goes', async () => {
  const { node, told } = await stage();
  node.publish('control-plane', both());
  assert.deepEqual(told.take(), [`+ ${VIP}/32, the address is there`]);
  node.withdraw('control-plane');
  assert.deepEqual(told.take(), [`- ${VIP}/32, the address is there`]);
});

test('BGP-10 an IPv6 VIP waits for duplicate address detection', async () => {
  const { node, told, clock } = await stage();
  node.publish('control-plane', both('2001:db8::1'));
  assert.deepEqual(told.take(), []);
  await clock.advance(3000);
  assert.deepEqual(told.take(), ['+ 2001:db8::1/128, the address is there']);
});

test('BGP-15 a VIP of several owners stays until the last one leaves', async () => {
  const { node, told } = await stage();
  node.publish('service/a/one', both());
  node.publish('service/a/two', both());
  told.take();
  node.withdraw('service/a/one');
  assert.deepEqual(told.take(), []);
  node.withdraw('service/a/two');
  assert.deepEqual(told.take(), [`- ${VIP}/32, the address is there`]);
});

test('where no address is wanted the peers are told all the same', async () => {
  const { node, told } = await stage();
  node.publish('service/a/one', [advertisement(VIP, { link: '' })]);
  assert.deepEqual(told.take(), [`+ ${VIP}/32, the address is not there`]);
});

test('a fence that does not hold keeps a VIP from the peers, also from one that has just come', async () => {
  const { node, told } = await stage();
  let holds = false;
  const fence = { holds: () => holds };
  node.publish('control-plane', [advertisement(VIP, { fence })]);
  assert.deepEqual(told.take(), []);
  assert.deepEqual(told.view.all(), []);
  holds = true;
  assert.deepEqual(told.view.all(), [{ address: VIP, length: 32 }]);
});

test('a VIP whose link is gone is withdrawn, and advertised again when the link is back', async () => {
  const { node, told, kernel, clock } = await stage();
  node.publish('control-plane', both());
  told.take();
  kernel.removeLink('eth0');
  await clock.advance(0);
  assert.deepEqual(told.take(), [`- ${VIP}/32, the address is not there`]);
  kernel.addLink({ name: 'eth0' });
  await clock.advance(5000);
  assert.deepEqual(told.take(), [`+ ${VIP}/32, the address is there`]);
});

test('an address that somebody removes is put back without a word to the peers', async () => {
  const { node, told, kernel, clock } = await stage();
  node.publish('control-plane', both());
  told.take();
  kernel.removeAddress(kernel.linkByName('eth0')?.index ?? 0, ip(VIP), 32);
  await clock.advance(1000);
  assert.match(kernel.showAddresses({ protocol: 248 }), /192\.0\.2\.1/);
  assert.deepEqual(told.take(), []);
});

test('the status says what an advertisement waits for', async () => {
  const { node, told } = await stage();
  const state = () => node.status().find(({ spec }) => spec.kind === 'advertisement')?.state;
  node.publish('control-plane', [advertisement(VIP, { fence: { holds: () => false } })]);
  assert.deepEqual(state(), { state: 'waiting', reason: 'the lease is not held' });
  node.publish('control-plane', [addressOf(VIP, { link: 'eth9' }), advertisement(VIP, { link: 'eth9' })]);
  assert.deepEqual(state(), { state: 'waiting', reason: 'its address' });
  node.publish('control-plane', both());
  assert.deepEqual(state(), { state: 'ready' });
  told.reach = () => ({ peers: 1, knowing: 0 });
  assert.deepEqual(state(), { state: 'waiting', reason: 'a BGP session that carries it' });
});
