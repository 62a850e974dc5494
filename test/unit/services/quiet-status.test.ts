import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QuietStatus } from '../../../src/services/quiet-status.ts';
import type { WantedStatus } from '../../../src/services/status-writer.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const wish = (vipHost: string): WantedStatus => ({ ingress: [], vipHost });

function scene() {
  const clock = new FakeClock();
  const told: string[] = [];
  const quiet = new QuietStatus(
    {
      want: (key, { vipHost }) => told.push(`${key} ${vipHost}`),
      drop: (key) => told.push(`drop ${key}`),
    },
    clock,
  );
  return { clock, told, quiet };
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
