import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ip } from '../../../src/lib/ip.ts';
import type { Address } from '../../../src/linux/types.ts';
import { DueQueue } from '../../../src/node/announce/due-queue.ts';
import { RepairBudget } from '../../../src/node/address/record.ts';
import { Observed } from '../../../src/node/observed.ts';
import { SpecBook, keyOf } from '../../../src/node/spec-book.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { observedAddress } from './observed-address.ts';
import { addressOf, announcementOf } from './scene.ts';

test('the due queue gives items in the order of their time, and none too early', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 300, size: 'max' }),
      fc.integer({ min: 0, max: 100 }),
      (times, now) => {
        const queue = new DueQueue<number>();
        for (const time of times) queue.push(time, time);
        const taken: number[] = [];
        for (let next = queue.popDue(now); next !== undefined; next = queue.popDue(now))
          taken.push(next.item);
        assert.deepEqual(
          taken,
          times.filter((time) => time <= now).sort((a, b) => a - b),
        );
        assert.equal(queue.size, times.length - taken.length);
        assert.equal(queue.earliest, [...times].sort((a, b) => a - b)[taken.length]);
      },
    ),
  );
});

test('a repair budget allows a burst and then a steady rate', () => {
  const budget = new RepairBudget();
  let done = 0;
  for (let i = 0; i < 100; i++) if (budget.take(1000) === 0) done++;
  assert.equal(done, 50);
  assert.equal(Math.round(budget.take(1000)), 50);
  assert.equal(budget.take(1051), 0);
  assert.notEqual(budget.take(1051), 0);
});

test('where owners disagree the first one’s form counts, the longest life and the shortest period', () => {
  const book = new SpecBook();
  const first = addressOf('192.0.2.1', { validLifetime: 60 });
  book.replace('service/default/a', [first, announcementOf('192.0.2.1')]);
  book.replace('service/default/b', [
    addressOf('192.0.2.1', { prefixLength: 24, noDad: true }),
    announcementOf('192.0.2.1', { periodMs: 500 }),
  ]);
  const merged = book.address(keyOf(first));
  assert.deepEqual([merged?.prefixLength, merged?.validLifetime, merged?.noDad], [32, undefined, true]);
  assert.equal(book.announcement(keyOf(announcementOf('192.0.2.1')))?.periodMs, 500);
  const changed = book.replace('service/default/a', []);
  assert.equal(changed.length, 2);
  assert.equal(book.address(keyOf(first))?.prefixLength, 24);
  book.replace('service/default/b', []);
  assert.equal(book.address(keyOf(first)), undefined);
  assert.deepEqual(book.all(), []);
});

const kernel = new FakeKernel();
const eth0 = kernel.addLink({ name: 'eth0' });
const vip = observedAddress(eth0.index, '192.0.2.1');

test('events that were queued before our removal do not bring an address back', () => {
  const observed = new Observed();
  observed.wrote(vip);
  observed.removed(vip);
  assert.equal(observed.heardAddress('set', vip), false, 'the echo of the write');
  assert.deepEqual(observed.addressesOf(vip.address), []);
  assert.equal(observed.heardAddress('gone', vip), false, 'the echo of the removal');
  assert.equal(observed.heardAddress('set', vip), true, 'somebody else');
  assert.equal(observed.addressesOf(vip.address).length, 1);
});

test('a removal and a new write: the echo of the removal does not take the new one away', () => {
  const observed = new Observed();
  observed.wrote(vip);
  observed.removed(vip);
  observed.wrote(vip);
  observed.heardAddress('set', vip);
  observed.heardAddress('gone', vip);
  observed.heardAddress('set', vip);
  assert.equal(observed.addressesOf(vip.address).length, 1);
  observed.heardAddress('gone', vip);
  assert.equal(observed.addressesOf(vip.address).length, 0, 'a real removal');
});

test('an event of ours that never comes does not make us deaf for ever', () => {
  const observed = new Observed();
  observed.wrote(vip);
  observed.removed(vip);
  for (let i = 0; i < 3; i++) {
    assert.equal(observed.heardAddress('set', vip), false);
    observed.dumpStarted(false);
    observed.dumpDone([], []);
  }
  assert.equal(observed.heardAddress('set', vip), true);
  observed.removed(vip);
  observed.dumpStarted(true);
  assert.equal(observed.heardAddress('set', vip), true, 'or when events are known to be lost');
});

test('what the kernel repeats of a write is no news, any difference is, and so are lifetimes', () => {
  const observed = new Observed();
  observed.wrote({ ...vip, preferredLifetime: 0 });
  assert.equal(observed.heardAddress('set', vip), false);
  for (const change of [
    { deprecated: false },
    { protocol: 0 },
    { scope: 'link' },
    { tentative: true },
    { dadFailed: true },
    { noDad: true },
    { broadcast: ip('192.0.2.255') },
    { permanent: false, validLifetime: 60 },
  ] as const) {
    const other: Address = { ...vip, ...change };
    assert.equal(observed.heardAddress('set', other), true, JSON.stringify(change));
    assert.equal(observed.heardAddress('set', vip), true, `back from ${JSON.stringify(change)}`);
  }
  const six: Address = { ...vip, address: ip('2001:db8::1'), prefixLength: 128 };
  observed.wrote(six);
  assert.equal(observed.heardAddress('set', six), false);
  assert.equal(observed.heardAddress('set', { ...six, prefixLength: 64 }), true);
  const limited: Address = { ...vip, permanent: false, validLifetime: 60 };
  observed.wrote(limited);
  assert.equal(observed.heardAddress('set', { ...limited, validLifetime: 59 }), true);
  assert.equal(observed.heardAddress('gone', vip), true);
});

test('what happens while a dump is taken outlives it', () => {
  const observed = new Observed();
  observed.dumpStarted(false);
  observed.wrote(vip);
  observed.heardLink('set', { ...eth0, name: 'renamed' });
  observed.dumpDone([eth0], []);
  assert.equal(observed.addressesOf(vip.address).length, 1);
  assert.equal(observed.linkNamed('eth0'), undefined);
  assert.equal(observed.linkNamed('renamed')?.index, eth0.index);
  observed.dumpStarted(false);
  observed.dumpDone([], []);
  assert.equal(observed.addressesOf(vip.address).length, 0);
  assert.equal(observed.linkNamed('renamed'), undefined);
});

test('a link that goes takes its addresses along', () => {
  const observed = new Observed();
  observed.heardLink('set', eth0);
  observed.wrote(vip);
  observed.heardLink('gone', eth0);
  assert.deepEqual(observed.addressesOf(vip.address), []);
  assert.deepEqual(observed.addressesOn(eth0.index), []);
});

test('only a finished link-local address is a source', () => {
  const observed = new Observed();
  observed.wrote({ ...vip, address: ip('2001:db8::1') });
  observed.wrote({ ...vip, address: ip('fe80::1'), tentative: true });
  assert.equal(observed.linkLocalOn(eth0.index), undefined);
  observed.wrote({ ...vip, address: ip('fe80::2') });
  assert.equal(observed.linkLocalOn(eth0.index), 'fe80::2');
});
