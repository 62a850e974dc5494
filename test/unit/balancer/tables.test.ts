import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import type { NftTable } from '../../../src/linux/index.ts';
import { newCounters } from '../../../src/node/forwarding/counters.ts';
import { Tables } from '../../../src/node/forwarding/nftables/tables.ts';
import { translated } from '../../../src/node/forwarding/nftables/service.ts';
import { TABLE, translationTable } from '../../../src/node/forwarding/nftables/translation.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { spec } from './scene.ts';

function scene(kernel = new FakeNftables()) {
  const clock = new FakeClock();
  const counters = newCounters();
  const tables = new Tables(kernel, { clock, log: silentLogger, observer: {}, counters }, TABLE);
  return { kernel, clock, counters, tables };
}

function wanted(...vips: readonly string[]): readonly NftTable[] {
  const table = translationTable(
    'ip',
    vips.map((vip) => translated(spec(vip))),
  );
  return table === undefined ? [] : [table];
}

test('a change is in the kernel before the call returns', async () => {
  const { kernel, tables } = scene();
  await tables.start();
  tables.set(wanted('10.0.0.100'));
  assert.equal(kernel.commits.length, 1);
  assert.equal(tables.isReady, true);
  tables.set([]);
  assert.deepEqual(kernel.show(), []);
  tables.stop();
});

test('nothing is touched before something is wanted', async () => {
  const { kernel } = scene();
  const first = scene(kernel);
  await first.tables.start();
  first.tables.set(wanted('10.0.0.100'));
  first.tables.stop();
  const { clock, tables } = scene(kernel);
  await tables.start();
  await clock.advance(60_000);
  assert.equal(kernel.commits.length, 1);
  tables.stop();
});

test('what was wanted before the start is done at the start', async () => {
  const { kernel, clock, tables } = scene();
  tables.set(wanted('10.0.0.100'));
  assert.equal(kernel.commits.length, 0);
  await clock.advance(1);
  assert.equal(kernel.commits.length, 1);
  tables.stop();
});

test('a successor changes nothing that is as it should be', async () => {
  const kernel = new FakeNftables();
  const first = scene(kernel);
  await first.tables.start();
  first.tables.set(wanted('10.0.0.100'));
  first.tables.stop();
  const second = scene(kernel);
  await second.tables.start();
  second.tables.set(wanted('10.0.0.100'));
  assert.equal(kernel.commits.length, 1);
  second.tables.stop();
});

test('what others remove or change is repaired by the next event, and counted', async () => {
  const { kernel, clock, counters, tables } = scene();
  await tables.start();
  tables.set(wanted('10.0.0.100'));
  await clock.advance(10);
  const good = kernel.show();
  const disturb = [
    () => kernel.flush(),
    () => kernel.disturb([{ do: 'flush chain', family: 'ip', table: TABLE, chain: 'prerouting' }]),
    () =>
      kernel.disturb([
        {
          do: 'add rule',
          family: 'ip',
          table: TABLE,
          chain: 'input',
          rule: { comment: 'x', expressions: [] },
        },
      ]),
    () =>
      kernel.disturb([
        {
          do: 'delete elements',
          family: 'ip',
          table: TABLE,
          set: 'services',
          elements: [{ key: good.length > 0 ? '0a000064192b0000' : '' }],
        },
      ]),
  ];
  for (const [i, action] of disturb.entries()) {
    action();
    assert.notDeepEqual(kernel.show(), good);
    await clock.advance(10);
    assert.deepEqual(kernel.show(), good);
    assert.equal(counters.repairs, i + 1);
  }
  tables.stop();
});

test('our own changes are not mistaken for those of others', async () => {
  const { clock, counters, tables } = scene();
  await tables.start();
  for (const vips of [['10.0.0.100'], ['10.0.0.100', '10.0.0.101'], ['10.0.0.101'], []]) {
    tables.set(wanted(...vips));
    await clock.advance(10);
  }
  assert.deepEqual([counters.changes, counters.repairs, counters.failures], [4, 0, 0]);
  tables.stop();
});

test('a refusal is told, tried again with growing pauses, and forgotten when it works', async () => {
  const { kernel, clock, counters, tables } = scene();
  await tables.start();
  kernel.failNext(errnoOf.EPERM);
  tables.set(wanted('10.0.0.100'));
  assert.match(tables.problem ?? '', /missing capability NET_ADMIN/);
  kernel.failNext(errnoOf.EPERM);
  await clock.advance(60);
  assert.equal(counters.failures, 2);
  assert.deepEqual(kernel.show(), []);
  await clock.advance(1000);
  assert.equal(tables.problem, undefined);
  assert.equal(tables.isReady, true);
  tables.stop();
});
