import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gather } from '../../../src/observe/gather.ts';
import { statusJson } from '../../../src/observe/status-json.ts';
import { statusDocument } from './status-document.ts';

test('a text in pieces takes as many turns as it needs, and none more', async () => {
  let now = 0;
  let turns = 0;
  const turn = {
    now: () => now,
    next: () => {
      turns++;
      return Promise.resolve();
    },
  };
  function* pieces(): Generator<string> {
    for (const piece of ['a', '', 'b', 'c', 'd']) {
      now += 3;
      yield piece;
    }
  }
  assert.equal(await gather(pieces(), turn), 'abcd');
  assert.equal(turns, 1);
  assert.equal(await gather(['quick'], turn), 'quick');
  assert.equal(turns, 1);
});

test('the status in pieces is what JSON.stringify makes of it', () => {
  const lists = { vips: [], leases: [], timers: [], counters: [] };
  for (const document of [statusDocument(), { ...statusDocument(), ...lists }])
    assert.equal([...statusJson(document)].join(''), `${JSON.stringify(document, undefined, 2)}\n`);
});
