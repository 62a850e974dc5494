import { close as closeOnThread } from 'node:fs';
import koffi from 'koffi';
import { errnoOf, KernelError } from './errors.ts';

/** What a call is for: the words of the error if it fails. */
export interface Doing {
  readonly op: string;
  /** As a function where there are thousands, of which hardly one fails. */
  readonly object?: string | (() => string);
}

/** Numbers from the kernel's headers that are the same on x86-64 and arm64. */
const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_ATTACH_FILTER = 26;
const SO_RCVBUFFORCE = 33;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_TRUNC = 0x20;
const O_CLOEXEC = 0o2000000;
const POLLIN = 1;

type Int = number;
type Libc = ReturnType<typeof bindFunctions>;

/** One argument type list per function: what koffi needs, and what TypeScript checks. */
function bindFunctions(library: ReturnType<typeof koffi.load>) {
  const bind = <A extends readonly unknown[]>(prototype: string): ((...args: A) => Int) =>
    library.func(prototype);
  const bindIfThere = <A extends readonly unknown[]>(
    prototype: string,
  ): ((...args: A) => Int) | undefined => {
    try {
      return bind<A>(prototype);
    } catch {
      return undefined;
    }
  };
  return {
    socket: bind<[Int, Int, Int]>('int socket(int, int, int)'),
    socketpair: bind<[Int, Int, Int, Int32Array]>('int socketpair(int, int, int, void *)'),
    bind: bind<[Int, Uint8Array, Int]>('int bind(int, const void *, uint32_t)'),
    getsockname: bind<[Int, Uint8Array, Uint32Array]>('int getsockname(int, void *, void *)'),
    connect: bind<[Int, Uint8Array, Int]>('int connect(int, const void *, uint32_t)'),
    listen: bind<[Int, Int]>('int listen(int, int)'),
    sendto: bind<[Int, Uint8Array, Int, Int, Uint8Array | null, Int]>(
      'long sendto(int, const void *, size_t, int, const void *, uint32_t)',
    ),
    recv: bind<[Int, Uint8Array, Int, Int]>('long recv(int, void *, size_t, int)'),
    setsockopt: bind<[Int, Int, Int, Uint8Array, Int]>(
      'int setsockopt(int, int, int, const void *, uint32_t)',
    ),
    close: bind<[Int]>('int close(int)'),
    dup3: bind<[Int, Int, Int]>('int dup3(int, int, int)'),
    open: bind<[string, Int, Int]>('int open(const char *, int, uint32_t)'),
    poll: bind<[Uint8Array, Int, Int]>('int poll(void *, unsigned long, int)'),
    setns: bind<[Int, Int]>('int setns(int, int)'),
    unshare: bind<[Int]>('int unshare(int)'),
    clock_gettime: bind<[Int, BigInt64Array]>('int clock_gettime(int, void *)'),
    _exit: bind<[Int]>('void _exit(int)'),
    sched_getscheduler: bind<[Int]>('int sched_getscheduler(int)'),
    sched_setscheduler: bind<[Int, Int, Int32Array]>('int sched_setscheduler(int, int, const void *)'),
    malloc_trim: bindIfThere<[Int]>('int malloc_trim(size_t)'),
  };
}

/** glibc and musl by their file names; null asks the process itself, which is linked with one of them. */
function loadLibc(): Libc {
  const musl = process.arch === 'arm64' ? 'libc.musl-aarch64.so.1' : 'libc.musl-x86_64.so.1';
  for (const name of [null, 'libc.so.6']) {
    try {
      return bindFunctions(koffi.load(name));
    } catch {
      // The next name is tried; the last one reports.
    }
  }
  return bindFunctions(koffi.load(musl));
}

let loaded: Libc | undefined;

function libc(): Libc {
  loaded ??= loadLibc();
  return loaded;
}

/** The one place where an errno becomes an error. A call a signal interrupted is made again. */
function checked(doing: Doing, call: (c: Libc) => number): number {
  const c = libc();
  for (;;) {
    const result = call(c);
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (errno !== errnoOf.EINTR) throw new KernelError({ ...doing, errno });
  }
}

/** A non-blocking socket that child processes do not inherit. */
export function socket(doing: Doing, family: number, type: number, protocol: number): number {
  return checked(doing, (c) => c.socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

/** Two connected Unix sockets, non-blocking; the caller closes both. */
export function socketPair(doing: Doing, type: number): readonly [number, number] {
  const pair = new Int32Array(2);
  checked(doing, (c) => c.socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
  return [pair[0] ?? -1, pair[1] ?? -1];
}

/** `address` is a sockaddr in the kernel's layout. */
export function bind(doing: Doing, fd: number, address: Uint8Array): void {
  checked(doing, (c) => c.bind(fd, address, address.length));
}

/** Starts a connection; on a non-blocking socket EINPROGRESS is success and not an error. */
export function connect(doing: Doing, fd: number, address: Uint8Array): void {
  try {
    checked(doing, (c) => c.connect(fd, address, address.length));
  } catch (error) {
    if (!(error instanceof KernelError && error.errno === errnoOf.EINPROGRESS)) throw error;
  }
}

export function listen(doing: Doing, fd: number, backlog: number): void {
  checked(doing, (c) => c.listen(fd, backlog));
}

/** Sends one datagram, to the connected or bound peer when `address` is absent; returns bytes sent. */
export function send(doing: Doing, fd: number, data: Uint8Array, address?: Uint8Array): number {
  // Not by `checked`: no function is made for each of the frames and requests.
  const c = libc();
  for (;;) {
    const sent = c.sendto(fd, data, data.length, 0, address ?? null, address?.length ?? 0);
    if (sent >= 0) return sent;
    const errno = koffi.errno();
    if (errno !== errnoOf.EINTR) throw new KernelError({ ...doing, errno });
  }
}

/**
 * Receives one datagram into `buffer` and returns its full length, which is more than the buffer's
 * when it did not fit; undefined when nothing is waiting. Pending socket errors are thrown.
 */
export function receive(doing: Doing, fd: number, buffer: Uint8Array): number | undefined {
  const c = libc();
  for (;;) {
    const length = c.recv(fd, buffer, buffer.length, MSG_TRUNC);
    if (length >= 0) return length;
    const errno = koffi.errno();
    if (errno === errnoOf.EAGAIN) return undefined;
    if (errno !== errnoOf.EINTR) throw new KernelError({ ...doing, errno });
  }
}

/** The address that a socket is bound to: a sockaddr of `length` bytes. */
export function boundTo(doing: Doing, fd: number, length: number): Uint8Array {
  const address = new Uint8Array(length);
  checked(doing, (c) => c.getsockname(fd, address, Uint32Array.of(length)));
  return address;
}

export function setSocketOption(
  doing: Doing,
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
): void {
  checked(doing, (c) => c.setsockopt(fd, level, option, value, value.length));
}

/** An `int` option. */
export function setSocketNumber(
  doing: Doing,
  fd: number,
  level: number,
  option: number,
  value: number,
): void {
  setSocketOption(doing, fd, level, option, new Uint8Array(Int32Array.of(value).buffer));
}

/** Attaches a classic BPF program: an array of struct sock_filter, eight bytes each. */
export function attachFilter(doing: Doing, fd: number, program: Uint8Array): void {
  // struct sock_fprog holds a pointer, so the program must be in memory that does not move: small
  // typed arrays may live on V8's heap, an ArrayBuffer made as such does not.
  const memory = new Uint8Array(new ArrayBuffer(program.length));
  memory.set(program);
  const fprog = new ArrayBuffer(16);
  new Uint16Array(fprog)[0] = program.length / 8;
  new BigUint64Array(fprog)[1] = koffi.address(memory);
  setSocketOption(doing, fd, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(fprog));
  // Keeps `memory` alive until the kernel has copied it.
  memory.fill(0);
}

/**
 * Enlarges the receive queue to `bytes`, beyond the system's limit where CAP_NET_ADMIN allows it.
 * A queue that stays small means more resyncs, never a wrong result, so refusals are not errors.
 */
export function enlargeReceiveBuffer(fd: number, bytes: number): void {
  enlarge({ op: 'enlarge receive buffer' }, fd, [SO_RCVBUFFORCE, SO_RCVBUF], bytes);
}

/** The same for what is sent: a datagram that does not fit is refused then (EMSGSIZE). */
export function enlargeSendBuffer(fd: number, bytes: number): void {
  enlarge({ op: 'enlarge send buffer' }, fd, [SO_SNDBUFFORCE, SO_SNDBUF], bytes);
}

function enlarge(doing: Doing, fd: number, options: readonly number[], bytes: number): void {
  for (const option of options) {
    try {
      setSocketNumber(doing, fd, SOL_SOCKET, option, bytes);
      return;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** Closes a descriptor; a second close is a bug that would hit somebody else's descriptor, so it throws. */
export function close(fd: number): void {
  checked({ op: 'close', object: `descriptor ${fd}` }, (c) => c.close(fd));
}

/**
 * Closes a descriptor on another thread. The end of a packet socket waits until no processor can still be
 * handing it a frame (synchronize_net): 10 to 50 ms in which nothing else would happen on this one.
 */
export function closeLater(fd: number): void {
  closeOnThread(fd, (error) => {
    // As with `close`: the descriptor may be somebody else's by now.
    if (error !== null) throw error;
  });
}

/** Makes `target` a duplicate of `fd`, closing what `target` was. */
export function duplicateOnto(doing: Doing, fd: number, target: number): void {
  checked(doing, (c) => c.dup3(fd, target, O_CLOEXEC));
}

/** `flags` as in open(2); O_CLOEXEC is added. */
export function open(doing: Doing, path: string, flags: number): number {
  return checked(doing, (c) => c.open(path, flags | O_CLOEXEC, 0));
}

/** Blocks this thread until the descriptor is readable; false when `timeoutMs` ran out first. */
export function waitReadable(doing: Doing, fd: number, timeoutMs: number): boolean {
  const pollfd = new Uint8Array(8);
  const view = new Int32Array(pollfd.buffer);
  view[0] = fd;
  new Int16Array(pollfd.buffer)[2] = POLLIN;
  return checked(doing, (c) => c.poll(pollfd, 1, timeoutMs)) > 0;
}

export function setns(doing: Doing, fd: number, kind: number): void {
  checked(doing, (c) => c.setns(fd, kind));
}

export function unshare(doing: Doing, flags: number): void {
  checked(doing, (c) => c.unshare(flags));
}

/** Scheduling policy of this thread, SCHED_*. */
export function schedulingPolicy(doing: Doing): number {
  return checked(doing, (c) => c.sched_getscheduler(0));
}

/** `priority`: 0 unless the policy is a real-time one. */
export function setSchedulingPolicy(doing: Doing, policy: number, priority: number): void {
  checked(doing, (c) => c.sched_setscheduler(0, policy, Int32Array.of(priority)));
}

/** Ends the process here and now: no thread is waited for, and nothing that others have left for the end runs. */
export function exitNow(status: number): void {
  libc()._exit(status);
}

/** struct timespec, read as halves: 64-bit numbers would be two objects for each look at the clock. */
const timespec = new BigInt64Array(2);
const halves = new Uint32Array(timespec.buffer);
const low = (new Uint8Array(Uint16Array.of(1).buffer)[0] ?? 0) ? 0 : 1;

/** Milliseconds, fractional, of a CLOCK_* clock. */
export function clockMs(clockId: number): number {
  if (libc().clock_gettime(clockId, timespec) < 0)
    throw new KernelError({ op: 'read clock', object: `clock ${clockId}`, errno: koffi.errno() });
  const seconds = (halves[1 - low] ?? 0) * 2 ** 32 + (halves[low] ?? 0);
  return seconds * 1000 + (halves[2 + low] ?? 0) / 1e6;
}

/** Gives the kernel back what free() has kept for the next malloc(); of the C libraries only glibc has this. */
export function trimHeap(): void {
  libc().malloc_trim?.(0);
}
