import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogLines } from '../../../src/observe/log-lines.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Bench {
  readonly lines: LogLines;
  readonly written: string[];
  /** Lines that were made so far. */
  made: number;
  readonly add: (...texts: readonly string[]) => void;
}

function bench(): Bench {
  const written: string[] = [];
  const lines = new LogLines((text) => written.push(text));
  const self: Bench = {
    lines,
    written,
    made: 0,
    add: (...texts) => {
      for (const text of texts)
        lines.add(() => {
          self.made++;
          return `${text}\n`;
        });
    },
  };
  return self;
}

const many = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `line ${i}`);

test('the lines of one turn are one write, in order; those of the next another', async () => {
  const { add, written } = bench();
  add('one', 'two');
  assert.deepEqual(written, []);
  await nextTurn();
  assert.deepEqual(written, ['one\ntwo\n']);
  add('three');
  await nextTurn();
  await nextTurn();
  assert.deepEqual(written, ['one\ntwo\n', 'three\n']);
});

test('the lines of a crowd are made when no more come, in order and in turns', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const self = bench();
  self.add(...many(1000));
  await nextTurn();
  self.add('one more');
  t.mock.timers.tick(50);
  await nextTurn();
  assert.equal(self.made, 0, 'one has come meanwhile');
  t.mock.timers.tick(50);
  assert.equal(self.made, 512);
  await nextTurn();
  assert.equal(self.written.join(''), [...many(1000), 'one more', ''].join('\n'));
  self.add('alone');
  await nextTurn();
  assert.equal(self.written.at(-1), 'alone\n');
});

test('nothing is kept back at the end, nor more than 4096 lines at any time, in writes of 64 KiB', async () => {
  const { lines, add, written } = bench();
  add('last words');
  lines.flush();
  assert.deepEqual(written, ['last words\n']);
  await nextTurn();
  assert.equal(written.length, 1);
  add(...Array.from({ length: 4095 }, () => 'x'.repeat(99)));
  assert.equal(written.length, 1);
  add('y'.repeat(99));
  assert.equal(written.join('').length, 'last words\n'.length + 51_200, 'the oldest 512');
  add(...Array.from({ length: 511 }, () => 'z'.repeat(99)));
  assert.equal(written.join('').length, 'last words\n'.length + 51_200);
  lines.flush();
  assert.equal(written.join('').length, 'last words\n'.length + 460_700);
  assert.ok(written.every((text) => text.length <= (64 << 10) + 100));
});

test('a crowd that does not end is written all the same', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let passed = 0;
  t.mock.method(performance, 'now', () => passed);
  const { add, written } = bench();
  add(...many(100));
  await nextTurn();
  for (; passed < 1000; passed += 50) {
    assert.deepEqual(written, []);
    add('more');
    t.mock.timers.tick(50);
  }
  add('more');
  t.mock.timers.tick(50);
  assert.equal(written.join('').split('\n').length - 1, 121);
});
