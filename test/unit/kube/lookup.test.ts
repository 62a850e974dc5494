import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, it } from 'node:test';
import { LoopbackFallback } from '../../../src/kube/lookup.ts';
import type { SystemLookup } from '../../../src/kube/lookup.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

function setUp(system: SystemLookup) {
  const clock = new FakeClock();
  const reports: string[] = [];
  const fallback = new LoopbackFallback(clock, (host) => reports.push(host), system);
  const lookup = (): Promise<readonly string[]> =>
    new Promise((resolve) => {
      fallback.lookup('kubernetes', { all: true }, (_error, found) => {
        resolve((found as LookupAddress[]).map((each) => each.address));
      });
    });
  return { clock, reports, lookup };
}

describe('the loopback fallback', () => {
  it('waits a second for a resolver that does not answer, then does not ask again for five minutes', async () => {
    let asked = 0;
    const { clock, reports, lookup } = setUp(() => {
      asked++;
    });
    const first = lookup();
    await clock.advance(999);
    assert.deepEqual(reports, []);
    await clock.advance(1);
    assert.deepEqual(await first, ['127.0.0.1', '::1']);
    assert.deepEqual(await lookup(), ['127.0.0.1', '::1']);
    assert.equal(asked, 1);
    await clock.advance(5 * 60_000);
    const later = lookup();
    await clock.advance(1000);
    assert.deepEqual(await later, ['127.0.0.1', '::1']);
    assert.equal(asked, 2);
    assert.deepEqual(reports, ['kubernetes']);
  });

  it('gives one address to those who ask for one', () => {
    const fallback = new LoopbackFallback(
      new FakeClock(),
      () => undefined,
      (_host, done) => {
        done(new Error('ENOTFOUND'), []);
      },
    );
    const seen: unknown[] = [];
    fallback.lookup('kubernetes', { all: false }, (...answer) => seen.push(answer));
    assert.deepEqual(seen, [[null, '127.0.0.1', 4]]);
  });
});
