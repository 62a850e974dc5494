import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceWriter, type Outcome } from '../../../src/ipam/writer.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

test('however many updates hang, others are written', async () => {
  const clock = new FakeClock();
  const written: string[] = [];
  let hanging = 0;
  const parts = {
    write: ({ metadata: { name = '' } }: { metadata: { name?: string } }, signal: AbortSignal) => {
      written.push(name);
      if (!name.startsWith('hang')) return Promise.resolve();
      hanging++;
      return new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => {
          hanging--;
          reject(new Error('given up'));
        });
      });
    },
    mayWrite: () => true,
    clock,
    random: () => 1,
  };
  const failures: unknown[] = [];
  const writer = new ServiceWriter(parts, ({ failure }: Outcome) => {
    if (failure !== undefined) failures.push(failure.error);
  });
  for (let i = 0; i < 200; i++) writer.put(`a/hang${i}`, { metadata: { name: `hang${i}` } });
  writer.put('b/good', { metadata: { name: 'good' } });
  for (let turn = 0; turn < 8; turn++) await clock.advance(500);
  assert.ok(written.includes('good'), 'as soon as those before have hung for half a second each');
  assert.equal(hanging, 96, 'these may take their time');
  assert.equal(writer.size, 200, 'and none is forgotten');
  assert.match(String(failures[0]), /no answer in 500 ms/);
  writer.close();
});
