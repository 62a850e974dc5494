import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingCapabilities } from '../../../src/linux/capabilities.ts';

test('missing capabilities are read from the effective set', () => {
  assert.deepEqual(missingCapabilities('Name:\tx\nCapEff:\t000001ffffffffff\n'), []);
  assert.deepEqual(missingCapabilities('CapEff:\t0000000000002000\n'), ['NET_ADMIN']);
  assert.deepEqual(missingCapabilities('CapEff:\t0000000000001000\n'), ['NET_RAW']);
  assert.deepEqual(missingCapabilities('no such line'), ['NET_ADMIN', 'NET_RAW']);
});
