import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashedSlots, inPlaces, roundRobinSlots, type Weighted } from '../../../src/node/forwarding/slots.ts';

const servers = (...weights: readonly number[]): readonly Weighted[] =>
  weights.map((weight, i) => ({ id: `10.0.0.${i + 1}`, weight }));
const letters = (slots: readonly Weighted[]): string =>
  slots.map(({ id }) => String.fromCharCode(96 + Number(id.split('.')[3]))).join('');
const count = (slots: readonly Weighted[], id: string): number =>
  slots.filter((slot) => slot.id === id).length;

test('equal weights make the shortest round, whatever the weight', () => {
  assert.equal(letters(roundRobinSlots(servers(1, 1, 1))), 'abc');
  assert.equal(letters(roundRobinSlots(servers(10, 10, 10))), 'abc');
  assert.equal(letters(roundRobinSlots(servers())), '');
});

test('heavier servers have more turns, spread over the round', () => {
  assert.equal(letters(roundRobinSlots(servers(3, 1))), 'aaba');
  assert.equal(letters(roundRobinSlots(servers(5, 1, 1))), 'aabacaa');
  assert.equal(letters(roundRobinSlots(servers(0, 2, 1))), 'bcb');
});

test('a round never has more than 256 slots, and nobody with a weight is left out', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 32 }), (weights) => {
      const all = servers(...weights);
      const slots = roundRobinSlots(all);
      assert.ok(slots.length <= 256 + 32);
      for (const { id, weight } of all) assert.equal(count(slots, id) > 0, weight > 0);
    }),
  );
});

test('small weights are kept exactly', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 16 }), (weights) => {
      const all = servers(...weights);
      const slots = roundRobinSlots(all);
      const [first] = all;
      assert.ok(first);
      for (const { id, weight } of all) {
        assert.equal(count(slots, id) * first.weight, count(slots, first.id) * weight);
      }
    }),
  );
});

test('every slot of the hash table has a server, shared out by weight', () => {
  const slots = hashedSlots(servers(1, 1, 2));
  assert.equal(slots.length, 251);
  const shares = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((id) => count(slots, id));
  assert.deepEqual(shares, [63, 63, 125]);
  assert.deepEqual(hashedSlots(servers(0, 0)), []);
});

test('when a server goes, nearly all slots of the others stay theirs', () => {
  const all = servers(1, 1, 1, 1, 1);
  const before = hashedSlots(all);
  const after = hashedSlots(all.slice(1));
  const moved = before.filter((slot, i) => slot.id !== '10.0.0.1' && slot.id !== after[i]?.id).length;
  assert.ok(moved < 251 * 0.2, `${moved} slots moved`);
});

test('who goes is replaced by who is new, or by the last one; all others stay where they are', () => {
  const ids = (text: string): readonly { readonly id: string }[] => text.split('').map((id) => ({ id }));
  const settled = (before: string, now: string): string =>
    inPlaces(before.split(''), ids(now))
      .map(({ id }) => id)
      .join('');
  assert.equal(settled('', 'abc'), 'abc');
  assert.equal(settled('abcd', 'bcd'), 'dbc');
  assert.equal(settled('dbc', 'abcd'), 'dbca');
  assert.equal(settled('abcd', 'bcdx'), 'xbcd');
  assert.equal(settled('abcdef', 'be'), 'eb');
  assert.equal(settled('abc', 'xyz'), 'xyz');
  assert.equal(settled('abc', ''), '');
});

test('as few places as possible change, and nobody is lost', () => {
  const some = fc.uniqueArray(fc.constantFrom(...'abcdefghijkl'.split('')));
  fc.assert(
    fc.property(some, some, (before, now) => {
      const after = inPlaces(
        before,
        now.map((id) => ({ id })),
      ).map(({ id }) => id);
      assert.deepEqual(after.toSorted(), now.toSorted());
      const gone = before.filter((id) => !now.includes(id)).length;
      const changed = after.filter((id, place) => place < before.length && before[place] !== id).length;
      assert.ok(changed <= gone, `${changed} of ${gone}`);
    }),
  );
});
