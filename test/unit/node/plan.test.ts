import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { Address, AddressKey, Link } from '../../../src/linux/types.ts';
import {
  broadcastOf,
  planAddress,
  type AddressPlan,
  type AddressView,
} from '../../../src/node/address/plan.ts';
import type { WantedAddress } from '../../../src/node/spec-book.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { observedAddress } from './observed-address.ts';

const kernel = new FakeKernel();
const eth0: Link = kernel.addLink({ name: 'eth0' });

function wanted(vip: string, more: Partial<WantedAddress> = {}): WantedAddress {
  return {
    vip: ip(vip),
    link: 'eth0',
    prefixLength: vip.includes(':') ? 128 : 32,
    scope: 'global',
    validLifetime: undefined,
    noDad: false,
    mayAdd: () => true,
    ...more,
  };
}

const observed = (vip: string, more: Partial<Address> = {}): Address =>
  observedAddress(eth0.index, vip, more);

function view(more: Partial<AddressView>): AddressView {
  return {
    wanted: undefined,
    link: eth0,
    observed: [],
    placed: [],
    skipDad: false,
    mayMark: true,
    renew: false,
    ...more,
  };
}

/** The plan in one line: what is removed first, set (and why), removed after, and the state. */
function told(plan: AddressPlan): string {
  const keys = (list: readonly AddressKey[]): string =>
    list.map((key) => `${key.address}/${key.prefixLength}@${key.ifindex}`).join(',');
  const parts: string[] = [];
  if (plan.removeFirst.length > 0) parts.push(`remove ${keys(plan.removeFirst)}`);
  if (plan.set !== undefined) {
    const { request, reason } = plan.set;
    parts.push(`set ${keys([request])}${request.noDad ? ' nodad' : ''} (${reason})`);
  }
  if (plan.removeAfter.length > 0) parts.push(`then remove ${keys(plan.removeAfter)}`);
  const { state } = plan;
  const detail = state.kind === 'waiting' ? ` ${state.reason}` : '';
  const foreign = state.kind === 'present' && state.foreign ? ' foreign' : '';
  parts.push(`${state.kind}${foreign}${detail}`);
  return parts.join('; ');
}

const v4 = wanted('192.0.2.1');
const v6 = wanted('2001:db8::1');
const placed4 = { ifindex: eth0.index, address: v4.vip, prefixLength: 32 };
const never = { mayAdd: () => false };

const rows: readonly (readonly [string, Partial<AddressView>, string])[] = [
  ['missing', { wanted: v4 }, 'set 192.0.2.1/32@2 (missing); present'],
  ['missing IPv6', { wanted: v6 }, 'set 2001:db8::1/128@2 (missing); detecting'],
  ['IPv6 without detection', { wanted: v6, skipDad: true }, 'set 2001:db8::1/128@2 nodad (missing); present'],
  ['there and right', { wanted: v4, observed: [observed('192.0.2.1')] }, 'present'],
  ['still detecting', { wanted: v6, observed: [observed('2001:db8::1', { tentative: true })] }, 'detecting'],
  [
    'detection failed',
    { wanted: v6, observed: [observed('2001:db8::1', { tentative: true, dadFailed: true })] },
    'remove 2001:db8::1/128@2; set 2001:db8::1/128@2 nodad (dad-failed); present',
  ],
  ['the link is gone', { wanted: v4, link: undefined }, 'waiting no link eth0'],
  [
    'IPv4 on a link that is down',
    { wanted: v4, link: { ...eth0, adminUp: false } },
    'set 192.0.2.1/32@2 (missing); present',
  ],
  [
    'IPv6 on a link that is down',
    { wanted: v6, link: { ...eth0, adminUp: false } },
    'waiting link eth0 is down',
  ],
  ['no tenure, nothing there', { wanted: { ...v4, ...never } }, 'waiting the lease is not held'],
  [
    'no tenure, one left with another prefix',
    { wanted: { ...v4, ...never }, observed: [observed('192.0.2.1', { prefixLength: 24 })] },
    'waiting the lease is not held',
  ],
  [
    'no tenure, there but changed',
    { wanted: { ...v4, ...never }, observed: [observed('192.0.2.1', { deprecated: false })] },
    'present',
  ],
  [
    'no tenure, detection failed',
    {
      wanted: { ...v6, ...never },
      observed: [observed('2001:db8::1', { dadFailed: true, tentative: true })],
    },
    'detecting',
  ],
  [
    'no longer deprecated',
    { wanted: v4, observed: [observed('192.0.2.1', { deprecated: false })] },
    'set 192.0.2.1/32@2 (changed); present',
  ],
  [
    'a lifetime where none should be',
    { wanted: v4, observed: [observed('192.0.2.1', { validLifetime: 30 })] },
    'set 192.0.2.1/32@2 (changed); present',
  ],
  [
    'a running lifetime',
    { wanted: { ...v4, validLifetime: 60 }, observed: [observed('192.0.2.1', { validLifetime: 7 })] },
    'present',
  ],
  [
    'a lifetime to renew',
    {
      wanted: { ...v4, validLifetime: 60 },
      observed: [observed('192.0.2.1', { validLifetime: 29 })],
      renew: true,
    },
    'set 192.0.2.1/32@2 (changed); present',
  ],
  [
    'a wrong scope, which a replace does not change',
    { wanted: { ...v4, scope: 'host' }, observed: [observed('192.0.2.1')] },
    'remove 192.0.2.1/32@2; set 192.0.2.1/32@2 (changed); present',
  ],
  [
    'a wrong broadcast address',
    { wanted: { ...v4, prefixLength: 24 }, observed: [observed('192.0.2.1', { prefixLength: 24 })] },
    'remove 192.0.2.1/24@2; set 192.0.2.1/24@2 (changed); present',
  ],
  [
    'the scope of IPv6 is the kernel’s',
    { wanted: { ...v6, scope: 'host' }, observed: [observed('2001:db8::1')] },
    'present',
  ],
  [
    'nodad wanted, and not set',
    { wanted: { ...v6, noDad: true }, observed: [observed('2001:db8::1')] },
    'set 2001:db8::1/128@2 nodad (changed); present',
  ],
  [
    'nodad set, and not wanted',
    { wanted: v6, observed: [observed('2001:db8::1', { noDad: true })] },
    'present',
  ],
  [
    'ours with another IPv4 prefix',
    { wanted: v4, observed: [observed('192.0.2.1', { prefixLength: 24 })] },
    'set 192.0.2.1/32@2 (missing); then remove 192.0.2.1/24@2; present',
  ],
  [
    'ours with another IPv6 prefix',
    { wanted: v6, observed: [observed('2001:db8::1', { prefixLength: 64 })] },
    'remove 2001:db8::1/64@2; set 2001:db8::1/128@2 (changed); detecting',
  ],
  [
    'unmarked but deprecated',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0 })] },
    'set 192.0.2.1/32@2 (unmarked); present',
  ],
  [
    'unmarked on a kernel that knows no marks',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0 })], mayMark: false },
    'present',
  ],
  [
    'the node’s own address',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0, deprecated: false })] },
    'present foreign',
  ],
  [
    'the node’s own address with another prefix, IPv4',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0, deprecated: false, prefixLength: 24 })] },
    'set 192.0.2.1/32@2 (missing); present',
  ],
  [
    'the node’s own address with another prefix, IPv6',
    { wanted: v6, observed: [observed('2001:db8::1', { protocol: 0, deprecated: false, prefixLength: 64 })] },
    'present foreign',
  ],
  [
    'of a kube-vip without mark and with another prefix, IPv6',
    { wanted: v6, observed: [observed('2001:db8::1', { protocol: 0, prefixLength: 64 })] },
    'remove 2001:db8::1/64@2; set 2001:db8::1/128@2 (changed); detecting',
  ],
  [
    'of a kube-vip without mark and with another prefix, IPv4',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0, prefixLength: 24 })] },
    'set 192.0.2.1/32@2 (missing); then remove 192.0.2.1/24@2; present',
  ],
  [
    'ours, changed by somebody to look like the node’s own',
    { wanted: v4, observed: [observed('192.0.2.1', { protocol: 0, deprecated: false })], placed: [placed4] },
    'set 192.0.2.1/32@2 (changed); present',
  ],
  [
    'the same number on another link, not ours',
    { wanted: v4, observed: [observed('192.0.2.1', { ifindex: 9, protocol: 0, deprecated: false })] },
    'set 192.0.2.1/32@2 (missing); present',
  ],
  [
    'put on a link that has another name now',
    { wanted: v4, placed: [{ ...placed4, ifindex: 9 }] },
    'set 192.0.2.1/32@2 (missing); then remove 192.0.2.1/32@9; present',
  ],
  [
    'unwanted',
    { observed: [observed('192.0.2.1')], placed: [placed4] },
    'then remove 192.0.2.1/32@2; unwanted',
  ],
  ['unwanted, and not ours', { observed: [observed('192.0.2.1')] }, 'unwanted'],
];

for (const [name, changes, wantedPlan] of rows) {
  test(`address plan: ${name}`, () => {
    assert.equal(told(planAddress(view(changes))), wantedPlan);
  });
}

test('broadcast addresses', () => {
  assert.equal(broadcastOf(ip('192.0.2.1'), 24), '192.0.2.255');
  assert.equal(broadcastOf(ip('10.1.2.3'), 9), '10.127.255.255');
  assert.equal(broadcastOf(ip('192.0.2.1'), 30), '192.0.2.3');
  assert.equal(broadcastOf(ip('192.0.2.1'), 31), undefined);
  assert.equal(broadcastOf(ip('2001:db8::1'), 64), undefined);
  assert.equal(broadcastOf(ip('192.0.2.1'), 0), '255.255.255.255');
});
