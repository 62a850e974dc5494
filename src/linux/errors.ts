import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { KubeVipError } from '../lib/errors.ts';
import type { KernelErrorKind } from './types.ts';

/** Linux error numbers by name; the same on every architecture this program runs on. */
export const errnoOf = constants.errno;

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, value]) => [value, name]));
// Of the two names these numbers have, the one used in kernel sources.
names.set(errnoOf.EAGAIN, 'EAGAIN').set(errnoOf.EOPNOTSUPP, 'EOPNOTSUPP');

/** `EPERM` for 1; `E999` for a number this system has no name for. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${errno}`;
}

const retryable = new Set([
  errnoOf.EAGAIN,
  errnoOf.EINTR,
  errnoOf.ENOBUFS,
  errnoOf.ENOMEM,
  errnoOf.EBUSY,
  errnoOf.ENETDOWN,
  errnoOf.ENETUNREACH,
  errnoOf.EHOSTUNREACH,
]);

const absent = new Set([errnoOf.ENODEV, errnoOf.ENXIO, errnoOf.EADDRNOTAVAIL, errnoOf.ESRCH, errnoOf.ENOENT]);

const unsupported = new Set([
  errnoOf.EOPNOTSUPP,
  errnoOf.EPROTONOSUPPORT,
  errnoOf.EAFNOSUPPORT,
  errnoOf.ENOPROTOOPT,
  errnoOf.ENOSYS,
]);

/**
 * What the catcher does next: the only place that reads an errno. `op` is the operation's name; by
 * convention one that deletes starts with "remove", since "not there" is its success.
 */
export function classify(errno: number, op: string): KernelErrorKind {
  if (errno === errnoOf.EEXIST) return 'already';
  if (absent.has(errno)) return classifyAbsent(errno, op);
  if (errno === errnoOf.EPERM) return 'capability';
  // Lacking CAP_NET_ADMIN is EPERM; on an address or a route EACCES says that IPv6 is switched off.
  if (errno === errnoOf.EACCES) return /^set (address|route)/.test(op) ? 'unsupported' : 'capability';
  if (errno === errnoOf.EROFS) return 'capability';
  if (retryable.has(errno)) return 'retry';
  if (unsupported.has(errno)) return 'unsupported';
  return 'bug';
}

function classifyAbsent(errno: number, op: string): KernelErrorKind {
  if (op.startsWith('remove') || op.endsWith('sysctl')) return 'gone';
  // Something to be set needs a link that is not there now: it may come back.
  return errno === errnoOf.ENODEV || errno === errnoOf.ENXIO ? 'retry' : 'bug';
}

/** The capability that `op` needs, for the message of a `capability` error. */
function capabilityFor(op: string): string {
  if (op.includes('packet')) return 'NET_RAW';
  return op.includes('namespace') ? 'SYS_ADMIN' : 'NET_ADMIN';
}

function remedyFor(errno: number, op: string): string {
  if (errno === errnoOf.EROFS) {
    return 'the file system is mounted read-only: run the container as privileged, or set this value on the host';
  }
  const capability = capabilityFor(op);
  return (
    `missing capability ${capability}: add it to securityContext.capabilities.add of the Pod, ` +
    `or run as root with CAP_${capability}`
  );
}

export interface KernelErrorInit {
  /** What was tried: "set address", "remove route", "open packet socket" ... */
  readonly op: string;
  readonly errno: number;
  /** What it was tried on: "192.0.2.1/32 on link 3"; absent when the operation has no object. */
  readonly object?: string | (() => string);
  /** The kernel's own words (NLMSGERR_ATTR_MSG), when it gave any. */
  readonly kernelText?: string | undefined;
}

/** A system call or netlink request the kernel refused. Callers switch on `kind`, never on `errno`. */
export class KernelError extends KubeVipError {
  readonly code = 'KERNEL';
  readonly op: string;
  readonly errno: number;
  readonly errnoName: string;
  readonly object: string;
  readonly kernelText: string | undefined;
  readonly kind: KernelErrorKind;

  constructor(init: KernelErrorInit) {
    const kind = classify(init.errno, init.op);
    const object = typeof init.object === 'function' ? init.object() : (init.object ?? '');
    const subject = object === '' ? init.op : `${init.op} ${object}`;
    const text = init.kernelText ?? describe(init.errno);
    const remedy = kind === 'capability' ? `; ${remedyFor(init.errno, init.op)}` : '';
    super(`${subject}: ${text} (${errnoName(init.errno)})${remedy}`);
    this.op = init.op;
    this.errno = init.errno;
    this.errnoName = errnoName(init.errno);
    this.object = object;
    this.kernelText = init.kernelText;
    this.kind = kind;
  }
}

function describe(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? 'error';
}

/** True when `error` is a KernelError of one of these kinds. */
export function isKernelError(error: unknown, ...kinds: readonly KernelErrorKind[]): error is KernelError {
  return error instanceof KernelError && (kinds.length === 0 || kinds.includes(error.kind));
}
