import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, errnoName, errnoOf, isKernelError, KernelError } from '../../../src/linux/errors.ts';
import type { KernelErrorKind, KernelOp } from '../../../src/linux/types.ts';

const rows: readonly (readonly [keyof typeof errnoOf, KernelOp, KernelErrorKind])[] = [
  ['EEXIST', 'set address', 'already'],
  ['EEXIST', 'add rule', 'already'],
  ['EADDRNOTAVAIL', 'remove address', 'gone'],
  ['ENODEV', 'remove address', 'gone'],
  ['ESRCH', 'remove route', 'gone'],
  ['ENOENT', 'remove rule', 'gone'],
  ['ENOENT', 'read sysctl', 'gone'],
  ['ENODEV', 'set address', 'retry'],
  ['ENXIO', 'send packet', 'retry'],
  ['ENETDOWN', 'send packet', 'retry'],
  ['ENOBUFS', 'send packet', 'retry'],
  ['EAGAIN', 'dump addresses', 'retry'],
  ['EBUSY', 'set address', 'retry'],
  ['ENOMEM', 'set address', 'retry'],
  ['ENETUNREACH', 'set route', 'retry'],
  ['EPERM', 'set address', 'capability'],
  ['EPERM', 'open packet socket', 'capability'],
  ['EACCES', 'write sysctl', 'capability'],
  ['EROFS', 'write sysctl', 'capability'],
  ['EACCES', 'set address', 'unsupported'],
  ['EOPNOTSUPP', 'dump rules', 'unsupported'],
  ['EAFNOSUPPORT', 'dump rules', 'unsupported'],
  ['EPROTONOSUPPORT', 'watch', 'unsupported'],
  ['EINVAL', 'set address', 'bug'],
  ['ESRCH', 'set route', 'bug'],
  ['EBADF', 'send packet', 'bug'],
];

for (const [name, op, kind] of rows) {
  test(`${name} on ${op} is ${kind}`, () => assert.equal(classify(errnoOf[name], op), kind));
}

test('the message has operation, object, the kernel’s words and the name of the number', () => {
  const init = { op: 'remove address', errno: errnoOf.EADDRNOTAVAIL, object: '192.0.2.1/32 on link 3' };
  const error = new KernelError({ ...init, kernelText: 'ipv4: Address not found' });
  assert.equal(
    error.message,
    'remove address 192.0.2.1/32 on link 3: ipv4: Address not found (EADDRNOTAVAIL)',
  );
  assert.equal(error.code, 'KERNEL');
  assert.equal(
    new KernelError(init).message,
    'remove address 192.0.2.1/32 on link 3: address not available (EADDRNOTAVAIL)',
  );
});

test('a missing capability is named, with the remedy', () => {
  const message = (op: string, errno: number): string => new KernelError({ op, errno }).message;
  assert.match(
    message('set address', errnoOf.EPERM),
    /missing capability NET_ADMIN: add it to securityContext/,
  );
  assert.match(message('open packet socket', errnoOf.EPERM), /missing capability NET_RAW: /);
  assert.match(message('enter namespace', errnoOf.EPERM), /missing capability SYS_ADMIN: /);
  assert.match(message('write sysctl', errnoOf.EROFS), /mounted read-only: run the container as privileged/);
});

test('numbers without a name, and the question whether it is one of ours', () => {
  assert.equal(errnoName(9999), 'E9999');
  assert.equal(errnoName(errnoOf.EWOULDBLOCK), 'EAGAIN');
  const error: unknown = new KernelError({ op: 'watch', errno: errnoOf.ENOBUFS });
  assert.equal(isKernelError(error), true);
  assert.equal(isKernelError(error, 'gone', 'retry'), true);
  assert.equal(isKernelError(error, 'gone'), false);
  assert.equal(isKernelError(new Error('x')), false);
});
