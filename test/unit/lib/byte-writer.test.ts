import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter } from '../../../src/lib/bytes.ts';

test('a writer grows in the middle of any kind of field', () => {
  for (const start of [125, 126, 127, 128]) {
    const head = new Uint8Array(start).fill(1);
    assert.equal(new ByteWriter().bytes(head).u8(0x11).u8(0x12).done().at(-1), 0x12);
    assert.deepEqual([...new ByteWriter().bytes(head).u16(0x1122).done().slice(start)], [0x11, 0x22]);
    assert.deepEqual(
      [...new ByteWriter().bytes(head).u32(0x11223344).done().slice(start)],
      [0x11, 0x22, 0x33, 0x44],
    );
    assert.deepEqual(
      [
        ...new ByteWriter()
          .bytes(head)
          .bytes(Uint8Array.of(7, 8, 9, 10))
          .done()
          .slice(start),
      ],
      [7, 8, 9, 10],
    );
    assert.deepEqual([...new ByteWriter().bytes(head).zeros(4).u8(5).done().slice(start)], [0, 0, 0, 0, 5]);
  }
});
