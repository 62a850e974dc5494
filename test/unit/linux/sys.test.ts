import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import type { KernelError } from '../../../src/linux/errors.ts';
import { errnoOf } from '../../../src/linux/errors.ts';
import * as sys from '../../../src/linux/sys.ts';

const doing = { op: 'test', object: 'on loopback' };
const F_GETFD = 1;
const F_GETFL = 3;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;
const SO_ERROR = 4;
const SIOCGIFINDEX = 0x8933;

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
  assert.notEqual(sys.fcntl(doing, fd, F_GETFL, 0) & O_NONBLOCK, 0);
  assert.equal(sys.fcntl(doing, fd, F_GETFD, 0), FD_CLOEXEC);
  sys.close(fd);
  assert.throws(() => sys.close(fd), { errnoName: 'EBADF', kind: 'bug' });
});

test('a connection is started, finished by the event loop, and its outcome read', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const fd = sys.socket(doing, sys.AF_INET, sys.SOCK_STREAM, 0);
  const connected = once(server, 'connection');
  sys.connect(doing, fd, loopback(address.port));
  await connected;
  assert.equal(sys.getSocketNumber(doing, fd, sys.SOL_SOCKET, SO_ERROR), 0);
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

test('the loopback link by name, by both ways to ask', () => {
  const name =
    Object.entries(networkInterfaces()).find(([, all]) => all?.[0]?.internal === true)?.[0] ?? 'lo';
  const fd = sys.socket(doing, sys.AF_INET, sys.SOCK_DGRAM, 0);
  const ifreq = new Uint8Array(40);
  ifreq.set(Buffer.from(name));
  sys.ioctl(doing, fd, SIOCGIFINDEX, ifreq);
  assert.equal(new DataView(ifreq.buffer).getInt32(16, true), sys.indexOfName(name));
  assert.equal(sys.indexOfName('no-such-link'), undefined);
  sys.close(fd);
});

test('a file that is not there, and a clock that is not', () => {
  assert.throws(() => sys.open({ op: 'open file', object: '/nowhere' }, '/nowhere', 0), {
    message: 'open file /nowhere: no such file or directory (ENOENT)',
  });
  assert.throws(() => sys.clockMs(99), { op: 'read clock', errnoName: 'EINVAL' });
});
