import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KubeError } from '../../../src/kube/index.ts';
import { DecodeError } from '../../../src/lib/errors.ts';
import { LineFramer, decodeObject, decodeWatchEvent } from '../../../src/kube/watch-frames.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('watch framing', () => {
  it('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.nat(200), { maxLength: 8 }),
        (stream, cuts) => {
          const whole = new LineFramer().push(stream).map((line) => Buffer.from(line).toString('hex'));
          const framer = new LineFramer();
          const pieces: string[] = [];
          const edges = [
            0,
            ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b),
            stream.length,
          ];
          for (const [i, edge] of edges.entries()) {
            const piece = stream.subarray(edge, edges[i + 1] ?? stream.length);
            pieces.push(...framer.push(piece).map((line) => Buffer.from(line).toString('hex')));
          }
          assert.deepEqual(pieces, whole);
        },
      ),
    );
  });

  it('never holds more than its bound', () => {
    const framer = new LineFramer(10);
    framer.push(bytes('12345'));
    assert.equal(framer.held, 5);
    framer.push(bytes('67890'));
    assert.throws(() => framer.push(bytes('1')), DecodeError);
    assert.throws(() => new LineFramer(10).push(bytes('12345678901\n')), DecodeError);
    assert.equal(new LineFramer(10).push(bytes('1234567890\n')).length, 1);
  });
});

describe('watch events', () => {
  it('decode, without managedFields', () => {
    const line = bytes(
      '{"type":"ADDED","object":{"kind":"X","metadata":{"name":"a","managedFields":[{}]},"spec":1}}',
    );
    assert.deepEqual(decodeWatchEvent(line), {
      type: 'ADDED',
      object: { kind: 'X', metadata: { name: 'a' }, spec: 1 },
    });
    const bookmark = bytes('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"12"}}}');
    assert.deepEqual(decodeWatchEvent(bookmark), { type: 'BOOKMARK', resourceVersion: '12' });
  });

  it('an ERROR is the error its Status says', () => {
    const gone = bytes(
      '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}',
    );
    assert.throws(
      () => decodeWatchEvent(gone),
      (error) => error instanceof KubeError && error.kind === 'gone' && error.status === 410,
    );
  });

  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"type":"ADDED"}',
    '{"type":"ADDED","object":{}}',
    '{"type":"ADDED","object":{"metadata":{"name":5}}}',
    '{"type":"NEWS","object":{"metadata":{}}}',
    '{"type":"ADDED","object":{"metadata":{"na',
  ]) {
    it(`refuses ${text || 'nothing'}`, () => {
      assert.throws(() => decodeWatchEvent(bytes(text)), DecodeError);
    });
  }

  it('any bytes give an event, a DecodeError or the error of an ERROR event', () => {
    const event = fc.record(
      {
        type: fc.oneof(fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'), fc.jsonValue()),
        object: fc.oneof(fc.record({ metadata: fc.jsonValue() }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const lines = fc.oneof(
      fc.uint8Array(),
      event.map((value) => bytes(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(lines, (line) => {
        try {
          decodeWatchEvent(line);
        } catch (error) {
          assert.ok(error instanceof DecodeError || error instanceof KubeError, String(error));
        }
      }),
    );
  });

  it('does not touch an object that has no managedFields', () => {
    const object = { metadata: { name: 'a' } };
    assert.equal(decodeObject(object), object);
  });
});
