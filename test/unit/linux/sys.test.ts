import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { KernelError } from '../../../src/linux/errors.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import * as sys from '../../../src/linux/sys.ts';

const doing = { op: 'test', object: 'on loopback' };
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** struct sockaddr_in for 127.0.0.1. */
function loopback(port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new Uint16Array(bytes.buffer)[0] = sys.AF_INET;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set([127, 0, 0, 1], 4);
  return bytes;
}

test('sockets are non-blocking and stay out of child processes', () => {
  const fd = sys.socket(doing, sys.AF_INET, sys.SOCK_DGRAM, 0);
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  const wanted = O_NONBLOCK | O_CLOEXEC;
  assert.equal(Number.parseInt(flags, 8) & wanted, wanted);
  sys.close(fd);
  assert.throws(() => sys.close(fd), { errnoName: 'EBADF', kind: 'bug' });
});

test('a connection is started, and finished by the event loop', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const fd = sys.socket(doing, sys.AF_INET, sys.SOCK_STREAM, 0);
  const connected = once(server, 'connection');
  sys.connect(doing, fd, loopback(address.port));
  await connected;
  sys.close(fd);
  server.close();
});

test('a listening socket takes its port, which is then in use', () => {
  const first = sys.socket(doing, sys.AF_INET, sys.SOCK_STREAM, 0);
  const second = sys.socket(doing, sys.AF_INET, sys.SOCK_STREAM, 0);
  const port = 20_000 + (process.pid % 40_000);
  sys.bind(doing, first, loopback(port));
  sys.listen(doing, first, 1);
  assert.throws(
    () => sys.bind(doing, second, loopback(port)),
    (error: KernelError) => {
      assert.equal(error.errno, errnoOf.EADDRINUSE);
      assert.equal(error.message, 'test on loopback: address already in use (EADDRINUSE)');
      return true;
    },
  );
  sys.close(first);
  sys.close(second);
});

test('a datagram longer than the buffer says how long it was', () => {
  const [ours, theirs] = sys.socketPair(doing, sys.SOCK_DGRAM);
  const buffer = new Uint8Array(4);
  assert.equal(sys.receive(doing, ours, buffer), undefined);
  assert.equal(sys.waitReadable(doing, ours, 0), false);
  assert.equal(sys.send(doing, theirs, Uint8Array.of(1, 2, 3, 4, 5, 6)), 6);
  assert.equal(sys.waitReadable(doing, ours, 1000), true);
  assert.equal(sys.receive(doing, ours, buffer), 6);
  assert.deepEqual([...buffer], [1, 2, 3, 4]);
  sys.close(ours);
  sys.close(theirs);
});

test('a file that is not there, and a clock that is not', () => {
  assert.throws(() => sys.open({ op: 'open file', object: '/nowhere' }, '/nowhere', 0), {
    message: 'open file /nowhere: no such file or directory (ENOENT)',
  });
  assert.throws(() => sys.clockMs(99), { op: 'read clock', errnoName: 'EINVAL' });
});
