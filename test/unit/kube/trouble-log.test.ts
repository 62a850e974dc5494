import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubeError } from '../../../src/kube/errors.ts';
import { TroubleLog } from '../../../src/kube/trouble-log.ts';
import type { KubeErrorKind } from '../../../src/kube/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';

function setUp() {
  const clock = new FakeClock();
  const log = recordingLogger();
  const trouble = new TroubleLog({ clock, log }, 'services');
  const fails = (kind: KubeErrorKind): void => {
    trouble.failed(new KubeError({ kind, path: '', message: kind }), 'watch-failed', 100);
  };
  return { clock, log, trouble, fails };
}

const failed = 'warn cannot follow services, retrying in 100ms';
const recovered = 'info following services again';

describe('trouble with a watch', () => {
  it('that comes and goes ten times a second is said three times a minute, with how often', async () => {
    const { clock, log, trouble, fails } = setUp();
    for (let i = 0; i < 1200; i++) {
      fails('unreachable');
      trouble.recovered();
      await clock.advance(100);
    }
    const pairs = log.fields.filter((_, i) => i % 2 === 0).map((fields) => fields['unsaid']);
    assert.equal(log.lines.length, 12);
    assert.deepEqual(pairs, [undefined, undefined, undefined, 597, undefined, undefined]);
  });

  it('that has just been said and lasts is said again, and so is its end', async () => {
    const { clock, log, trouble, fails } = setUp();
    for (let i = 0; i < 3; i++) {
      fails('unreachable');
      trouble.recovered();
    }
    const usual = [failed, recovered, failed, recovered, failed, recovered];
    assert.deepEqual(log.lines, usual);
    fails('unreachable');
    await clock.advance(4999);
    fails('unreachable');
    assert.deepEqual(log.lines, usual);
    await clock.advance(1);
    fails('unreachable');
    fails('unreachable');
    trouble.recovered();
    assert.deepEqual(log.lines, [...usual, failed, recovered]);
  });

  it('of another kind is said at once', () => {
    const { log, trouble, fails } = setUp();
    for (let i = 0; i < 4; i++) {
      fails('unreachable');
      trouble.recovered();
    }
    assert.equal(log.lines.length, 6);
    fails('forbidden');
    assert.equal(log.lines.length, 7);
  });
});
