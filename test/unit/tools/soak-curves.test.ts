import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trendsOf } from '../../soak/curves.ts';

const looks = 40;

/** Of one figure, after so many looks. */
function grewOf(name: string, valueAt: (look: number) => number, count = looks): boolean | undefined {
  return trendsOf(Array.from({ length: count }, (_, look) => ({ [name]: valueAt(look) })))[0]?.grew;
}

describe('the curves of a soak', () => {
  it('tell a leak from a warm-up', () => {
    assert.equal(
      grewOf('heap MB', (look) => 20 + look * 0.1),
      true,
    );
    assert.equal(
      grewOf('heap MB', (look) => 25 - 5 / (look + 1)),
      false,
    );
  });

  it('tell a leak from scatter', () => {
    const scatter = (look: number): number => [0, 9, 2, 7][look % 4] ?? 0;
    assert.equal(
      grewOf('fds', (look) => 40 + scatter(look)),
      false,
    );
    assert.equal(
      grewOf('fds', (look) => 40 + scatter(look) + look),
      true,
    );
  });

  it('judge neither a few looks nor what depends on the load', () => {
    assert.equal(
      grewOf('fds', (look) => look * 10, 8),
      undefined,
    );
    assert.equal(
      grewOf('CPU s', (look) => look),
      undefined,
    );
  });
});
