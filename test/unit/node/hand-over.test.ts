import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { HandOver } from '../../../src/node/hand-over.ts';
import { keyed, type Keyed } from '../../../src/node/spec-book.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { both } from './scene.ts';

/** Whoever is told takes so many milliseconds for each spec. */
function slow(msEach: number) {
  const clock = new FakeClock();
  const told: number[] = [];
  const handOver = new HandOver({
    clock,
    isWanted: () => true,
    tell: (changed) => {
      told.push(changed.length);
      clock.pause(msEach * changed.length);
    },
  });
  const take = (vips: number, from = 0): void => {
    const names = Array.from({ length: vips }, (_, i) => `10.9.${(from + i) >> 8}.${(from + i) & 255}`);
    handOver.take(names.flatMap((vip) => both(vip)).map(keyed));
  };
  return { clock, told, take };
}

test('what one owner publishes is handed over together, however slow the last one was', () => {
  const { told, take } = slow(100);
  take(2);
  take(3, 10);
  assert.deepEqual(told, [4, 6]);
});

test('of very much that takes long the rest follows in turns', async () => {
  const { clock, told, take } = slow(1);
  take(100);
  assert.deepEqual(told, [32]);
  await clock.advance(1000);
  assert.equal(
    told.reduce((sum, each) => sum + each, 0),
    200,
  );
  assert.ok(Math.max(...told) <= 32, told.join());
});

test('a VIP that changes its link does not wait behind others: it is never on none', () => {
  const clock = new FakeClock();
  const told: string[] = [];
  const isWanted = (key: string): boolean => !key.includes('eth1');
  const name = ({ spec }: Keyed): string =>
    `${isWanted(keyed(spec).key) ? '+' : '-'}${spec.vip}@${spec.link}`;
  const handOver = new HandOver({
    clock,
    isWanted,
    tell: (changed) => {
      told.push(...changed.map(name));
      clock.pause(changed.length);
    },
  });
  const crowd = Array.from({ length: 100 }, (_, i) => `10.9.0.${i}`);
  handOver.take(crowd.flatMap((vip) => both(vip)).map(keyed));
  told.length = 0;
  const [now] = both('192.0.2.1');
  assert.ok(now !== undefined);
  handOver.take([keyed({ ...now, link: 'eth1' }), keyed(now)]);
  assert.deepEqual(told, ['+192.0.2.1@eth0', '-192.0.2.1@eth1']);
  told.length = 0;
  const later = { ...now, vip: ip('192.0.2.2') };
  handOver.take([keyed(later)]);
  handOver.take([keyed({ ...later, link: 'eth1' })]);
  assert.deepEqual(told, ['+192.0.2.2@eth0', '-192.0.2.2@eth1'], 'one that waited already, too');
});
