import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedItems, maxListed } from '../../../src/lib/text-list.ts';

test('a comma list has its first items, trimmed, and says when there are more', () => {
  assert.deepEqual(listedItems(' a, b ,,c,'), { items: ['a', 'b', 'c'], hasMore: false });
  assert.deepEqual(listedItems(''), { items: [], hasMore: false });
  const many = Array.from({ length: maxListed }, (_, i) => String(i));
  assert.deepEqual(listedItems(many.join()), { items: many, hasMore: false });
  assert.deepEqual(listedItems(`${many.join()},more,${'x,'.repeat(100_000)}`), {
    items: many,
    hasMore: true,
  });
});
