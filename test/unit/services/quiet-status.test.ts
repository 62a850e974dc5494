import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuietStatus } from '../../../src/services/quiet-status.ts';
import type { WantedStatus } from '../../../src/services/status-writer.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const wish = (vipHost: string): WantedStatus => ({ ingress: [], vipHost });

function scene() {
  const clock = new FakeClock();
  const told: string[] = [];
  const network = { isBusy: false };
  const quiet = new QuietStatus(
    {
      want: (key, { vipHost }) => told.push(`${key} ${vipHost}`),
      drop: (key) => told.push(`drop ${key}`),
    },
    clock,
    () => network.isBusy,
  );
  return { clock, told, quiet, network };
}

test('a wish that comes alone is passed on soon, of several for one Service the last', async () => {
  const { clock, told, quiet } = scene();
  quiet.want('a/web', wish('one'));
  quiet.want('a/web', wish('two'));
  assert.deepEqual(told, []);
  await clock.advance(0);
  assert.deepEqual(told, ['a/web two']);
  assert.deepEqual(clock.timers(), []);
});

test('while wishes keep coming, turn by turn, they wait; all follow when it is quiet', async () => {
  const { clock, told, quiet } = scene();
  let turns = 0;
  const work = (): void => {
    quiet.want(`a/s${turns}`, wish('node'));
    assert.deepEqual(told, [], `turn ${turns}`);
    if (++turns < 50) clock.after('work', 0, work);
  };
  work();
  await clock.advance(0);
  assert.equal(told.length, 50);
});

test('they wait for a fifth of a second at most', async () => {
  const { clock, told, quiet } = scene();
  let isRunning = true;
  let n = 0;
  const work = (): void => {
    quiet.want(`a/s${n++}`, wish('node'));
    clock.pause(10);
    if (isRunning) clock.after('work', 0, work);
    if (n === 100) isRunning = false;
    if (n === 19) assert.deepEqual(told, []);
    if (n === 25) assert.ok(told.length >= 19, `${told.length}`);
  };
  work();
  await clock.advance(1100);
  assert.equal(told.length, n);
});

test('while VIPs wait for their turn they wait too, for three seconds at most', async () => {
  const { clock, told, quiet, network } = scene();
  network.isBusy = true;
  let turns = 0;
  // The network is busy in every turn, each of a tenth of a second.
  const work = (): void => {
    clock.pause(100);
    if (++turns < 60) clock.after('work', 0, work);
    if (turns === 29) assert.deepEqual(told, []);
    if (turns === 33) assert.deepEqual(told, ['a/web node']);
    if (turns === 33) quiet.want('a/mail', wish('node'));
    if (turns === 40) network.isBusy = false;
    if (turns === 43) assert.deepEqual(told, ['a/web node', 'a/mail node']);
  };
  quiet.want('a/web', wish('node'));
  work();
  await clock.advance(6100);
  assert.equal(turns, 60);
});

test('of very many some are passed on in each turn', async () => {
  const { clock, told, quiet } = scene();
  const inTurns = [0];
  for (let n = 0; n < 1000; n++) quiet.want(`a/s${n}`, wish('node'));
  const count = (): void => {
    inTurns.push(told.length);
    if (told.length < 1000) clock.after('count', 0, count);
  };
  count();
  await clock.advance(0);
  const steps = inTurns.slice(1).map((sum, i) => sum - (inTurns[i] ?? 0));
  assert.ok(Math.max(...steps) <= 256, steps.join());
  assert.equal(new Set(told).size, 1000);
});

test('what is withdrawn meanwhile is not reported', async () => {
  const { clock, told, quiet } = scene();
  quiet.want('a/web', wish('node'));
  quiet.want('a/mail', wish('node'));
  quiet.drop('a/web');
  await clock.advance(0);
  assert.deepEqual(told, ['drop a/web', 'a/mail node']);
  quiet.want('a/web', wish('node'));
  quiet.close();
  await clock.advance(1000);
  assert.deepEqual(told, ['drop a/web', 'a/mail node']);
});
