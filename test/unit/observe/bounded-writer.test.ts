import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundedWriter } from '../../../src/observe/bounded-writer.ts';

test('what a reader does not take fills no memory, and is told when it reads again', () => {
  const sink = {
    written: 0,
    writableLength: 0,
    write(text: string): void {
      this.written++;
      this.writableLength += text.length;
    },
  };
  const told: number[] = [];
  const write = boundedWriter(sink, (texts) => told.push(texts));
  const text = 'x'.repeat(1 << 16);
  for (let i = 0; i < 1000; i++) write(text);
  assert.ok(sink.writableLength < 5 << 20, `${sink.writableLength} bytes wait`);
  assert.deepEqual(told, []);
  const before = sink.written;
  sink.writableLength = 0;
  write('again');
  assert.equal(sink.written, before + 1);
  assert.deepEqual(told, [1000 - before]);
  write('and again');
  assert.equal(told.length, 1);
});
