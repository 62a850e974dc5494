import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { classify, fromAnswer, fromFailure } from '../../../src/kube/errors.ts';
import { formatServer, leases, nodes, parseServer, services } from '../../../src/kube/index.ts';
import { collectionPath, objectPath, queryString } from '../../../src/kube/resources.ts';
import { formatTime } from '../../../src/kube/time.ts';

describe('what an answer means', () => {
  const rows: readonly (readonly [number, string, string])[] = [
    [400, 'BadRequest', 'invalid'],
    [401, 'Unauthorized', 'unauthorized'],
    [403, 'Forbidden', 'forbidden'],
    [404, 'NotFound', 'not-found'],
    [405, 'MethodNotAllowed', 'invalid'],
    [408, '', 'timeout'],
    [409, 'AlreadyExists', 'already-exists'],
    [409, 'Conflict', 'conflict'],
    [410, 'Gone', 'gone'],
    [410, 'Expired', 'gone'],
    [422, 'Invalid', 'invalid'],
    [429, 'TooManyRequests', 'throttled'],
    [500, 'InternalError', 'server'],
    [504, 'Timeout', 'server'],
    [302, '', 'garbage'],
    [600, '', 'garbage'],
  ];
  for (const [status, reason, kind] of rows) {
    it(`${status} ${reason} is ${kind}`, () => {
      assert.equal(classify({ status, reason }), kind);
    });
  }

  it('a refused connection is unreachable, a broken protocol is garbage', () => {
    assert.equal(classify({ reason: 'ECONNREFUSED' }), 'unreachable');
    assert.equal(classify({ reason: 'ERR_HTTP2_ERROR' }), 'garbage');
    const wrapped = fromFailure(Object.assign(new Error('no'), { code: 'ENETUNREACH' }), 'GET /x');
    assert.deepEqual(
      [wrapped.kind, wrapped.reason, wrapped.message],
      ['unreachable', 'ENETUNREACH', 'GET /x: no'],
    );
    assert.equal(fromFailure(wrapped, 'GET /y'), wrapped);
  });

  it('reads a Status, and quotes prose', () => {
    const body =
      '{"kind":"Status","message":"m","reason":"TooManyRequests","details":{"retryAfterSeconds":3}}';
    const throttled = fromAnswer(429, body, 'GET /x');
    assert.deepEqual([throttled.kind, throttled.retryAfterMs], ['throttled', 3000]);
    assert.equal(throttled.message, 'GET /x: 429 TooManyRequests: m');
    assert.equal(fromAnswer(503, '{}', 'GET /x', '7').retryAfterMs, 7000);
    const proxy = fromAnswer(502, `<html>${'x'.repeat(1000)}`, 'GET /x');
    assert.deepEqual([proxy.kind, proxy.reason, proxy.retryAfterMs], ['server', '', undefined]);
    assert.ok(proxy.message.length < 250);
  });

  it('any body of any type makes an error, never a crash', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999 }), fc.oneof(fc.json(), fc.string()), (status, body) => {
        assert.equal(typeof fromAnswer(status, body, '').kind, 'string');
      }),
    );
  });
});

describe('Time', () => {
  it('has whole seconds and Z, like client-go', () => {
    assert.equal(formatTime(Date.UTC(2026, 0, 2, 3, 4, 5, 999)), '2026-01-02T03:04:05Z');
  });
});

describe('server addresses', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['127.0.0.1:6443', 'https://127.0.0.1:6443'],
    ['https://127.0.0.1:6443', 'https://127.0.0.1:6443'],
    ['https://10.0.0.1', 'https://10.0.0.1:443'],
    ['http://api:8080/', 'http://api:8080'],
    ['kubernetes:6443', 'https://kubernetes:6443'],
    ['[fd00::1]:6443', 'https://[fd00::1]:6443'],
    ['fd00::1', 'https://[fd00::1]:443'],
    ['https://rancher.example/k8s/clusters/c-1/', 'https://rancher.example:443/k8s/clusters/c-1'],
  ];
  for (const [text, formatted] of rows) {
    it(`reads ${text}`, () => {
      const server = parseServer(text);
      assert.ok(server);
      assert.equal(formatServer(server), formatted);
    });
  }

  it('refuses what is no server', () => {
    for (const text of ['', ' ', 'ftp://x', 'host:99999', 'https://user:pw@host', 'https://h?x=1', 'a b']) {
      assert.equal(parseServer(text), undefined, text);
    }
    fc.assert(fc.property(fc.string(), (text) => void parseServer(text)));
  });
});

describe('paths', () => {
  it('follow the API conventions', () => {
    assert.equal(collectionPath(services), '/api/v1/services');
    assert.equal(collectionPath(services, 'a'), '/api/v1/namespaces/a/services');
    assert.equal(objectPath(nodes, { name: 'n/1' }), '/api/v1/nodes/n%2F1');
    assert.equal(
      objectPath(leases, { namespace: 'kube-system', name: 'x' }, 'status'),
      '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x/status',
    );
    assert.throws(() => objectPath(leases, { name: 'x' }), TypeError);
    assert.equal(queryString({ a: 'x=1', b: undefined, c: '', d: 5, e: true }), '?a=x%3D1&d=5&e=true');
  });
});
