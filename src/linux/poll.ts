import { Socket } from 'node:net';
import koffi from 'koffi';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, KernelError } from './errors.ts';
import * as sys from './sys.ts';
import type { Subscription } from './types.ts';

/*
 * Readiness of our own descriptors on Node's event loop, through `koffi.node.poll` (libuv's uv_poll).
 * Its traps, each of them seen, are all dealt with here and nowhere else:
 *  - the handle is closed when the garbage collector takes its JavaScript object: `handles` holds it;
 *  - the callback is made without Node's bookkeeping (no microtasks, an exception is lost), so it
 *    only asks for `setImmediate`, which runs in the same turn of the loop;
 *  - `stop` or `start` after `close` crash the process: `source.closed` guards both;
 *  - libuv stops watching a descriptor with a pending error (ENOBUFS of a netlink socket, ENETDOWN
 *    of a packet socket): a negative status means "start again after reading".
 */

/** At most this many datagrams are handled before others on the event loop get their turn. */
const maxPerTurn = 256;
const selfTestMs = 2000;

/** Errors after which reading on makes no sense: the descriptor itself is wrong. */
const fatal = new Set([errnoOf.EBADF, errnoOf.ENOTSOCK, errnoOf.EINVAL, errnoOf.EFAULT]);

export interface DatagramHandlers {
  readonly doing: sys.Doing;
  /** One datagram; the bytes are valid only during the call. `length` > `bytes.length`: it was cut. */
  readonly onDatagram: (bytes: Uint8Array, length: number) => void;
  /** A pending socket error (ENOBUFS: datagrams were lost). Reading goes on, unless it is a `bug`. */
  readonly onError: (error: KernelError) => void;
}

export interface PollerOptions {
  /** Called once if the readiness API does not work on this runtime and the slower fallback is used. */
  readonly onFallback?: (reason: string) => void;
  /** Bytes of the receive buffer that all readers share. */
  readonly bufferBytes?: number;
  /** For tests: use the fallback from the start. */
  readonly forceFallback?: boolean;
  /** For tests: how to learn that a descriptor is readable. */
  readonly watchReadable?: WatchReadable;
}

/** Calls `drain` when `fd` is readable, and again as long as it returns true; the result ends that. */
type WatchReadable = (fd: number, drain: () => boolean) => () => void;

interface Source {
  readonly fd: number;
  readonly handlers: DatagramHandlers;
  stop: () => void;
  closed: boolean;
}

/** Reads datagrams from descriptors as they arrive. The caller keeps and closes the descriptors. */
export class Poller {
  private readonly clock: Clock;
  private readonly options: PollerOptions;
  private readonly sources = new Set<Source>();
  private readonly buffer: Uint8Array;
  private readonly watchReadable: WatchReadable;
  private useFallback: boolean;
  private tested = false;

  constructor(clock: Clock, options: PollerOptions = {}) {
    this.clock = clock;
    this.options = options;
    this.buffer = new Uint8Array(options.bufferBytes ?? 65536);
    this.useFallback = options.forceFallback ?? false;
    this.watchReadable = options.watchReadable ?? startPolling;
  }

  /** Starts reading; close the subscription before the descriptor. */
  read(fd: number, handlers: DatagramHandlers): Subscription {
    this.selfTest();
    const source: Source = { fd, handlers, stop: () => undefined, closed: false };
    this.sources.add(source);
    source.stop = this.start(source);
    return { close: () => this.close(source) };
  }

  /** Ends all reading, so that nothing of this poller keeps the process alive. */
  closeAll(): void {
    for (const source of [...this.sources]) this.close(source);
  }

  private close(source: Source): void {
    if (source.closed) return;
    source.closed = true;
    this.sources.delete(source);
    source.stop();
  }

  private start(source: Source): () => void {
    return this.useFallback ? startStream(source) : this.watchReadable(source.fd, () => this.drain(source));
  }

  /** Reads what is there, up to the bound; true when more may be waiting. */
  private drain(source: Source): boolean {
    const { fd, handlers } = source;
    for (let n = 0; n < maxPerTurn; n++) {
      if (source.closed) return false;
      let length: number | undefined;
      try {
        length = sys.receive(handlers.doing, fd, this.buffer);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        if (fatal.has(error.errno)) this.close(source);
        handlers.onError(error);
        continue;
      }
      if (length === undefined) return false;
      handlers.onDatagram(this.buffer.subarray(0, length), length);
    }
    return true;
  }

  /** Proves once that readiness is reported at all; if not, every source moves to the fallback. */
  private selfTest(): void {
    if (this.tested || this.useFallback) return;
    this.tested = true;
    const doing = { op: 'test event loop' };
    const [ours, theirs] = sys.socketPair(doing, sys.SOCK_DGRAM);
    let isDone = false;
    const finish = (reason: string | undefined): void => {
      if (isDone) return;
      isDone = true;
      timer.cancel();
      stop();
      sys.close(ours);
      sys.close(theirs);
      if (reason !== undefined) this.fallBack(reason);
    };
    const stop = this.watchReadable(ours, () => {
      finish(undefined);
      return false;
    });
    const timer = this.clock.after('event loop self-test', selfTestMs, () => {
      // A loop that was blocked runs its timers before it looks at descriptors: look again first.
      setImmediate(() => setImmediate(() => finish(`no readiness event within ${selfTestMs} ms`)));
    });
    sys.send(doing, theirs, Uint8Array.of(1));
  }

  private fallBack(reason: string): void {
    this.useFallback = true;
    for (const source of this.sources) {
      source.stop();
      source.stop = this.start(source);
    }
    this.options.onFallback?.(reason);
  }
}

/** Keeps poll handles reachable for as long as they are open. */
const handles = new Set<ReturnType<typeof koffi.node.poll>>();

/** WatchReadable by koffi; drains on a later turn than the event that caused it. */
function startPolling(fd: number, drain: () => boolean): () => void {
  let isOpen = true;
  let isScheduled = false;
  let mustRestart = false;
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(run);
  };
  const onReady = (status: unknown): void => {
    if (typeof status === 'number' && status < 0) mustRestart = true;
    schedule();
  };
  const handle = koffi.node.poll(fd, { readable: true }, onReady);
  handles.add(handle);
  function run(): void {
    isScheduled = false;
    if (!isOpen) return;
    let more = true;
    try {
      more = drain();
    } finally {
      if (more) schedule();
      else rearm();
    }
  }
  function rearm(): void {
    if (!isOpen || !mustRestart) return;
    mustRestart = false;
    handle.start({ readable: true }, onReady);
  }
  return () => {
    if (!isOpen) return;
    isOpen = false;
    handles.delete(handle);
    handle.close();
  };
}

/**
 * The fallback: Node opens a stream on one end of a Unix socket pair, and before the event loop has
 * looked at it that descriptor becomes a duplicate of ours. Node then reads our datagrams, one a
 * chunk. Slower (a buffer for each), and an error ends the stream, so a new one is made.
 */
function startStream({ fd, handlers }: Pick<Source, 'fd' | 'handlers'>): () => void {
  const { doing } = handlers;
  const [placeholder, other] = sys.socketPair(doing, sys.SOCK_STREAM);
  const stream = new Socket({ fd: placeholder, readable: true, writable: false });
  sys.duplicateOnto(doing, fd, placeholder);
  sys.close(other);
  let isOpen = true;
  let stopNext = (): void => undefined;
  stream.on('data', (chunk: Uint8Array) => handlers.onDatagram(chunk, chunk.length));
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const kernelError = new KernelError({ ...doing, errno: Math.abs(error.errno ?? errnoOf.EIO) });
    if (isOpen && !fatal.has(kernelError.errno)) stopNext = startStream({ fd, handlers });
    if (isOpen) handlers.onError(kernelError);
  });
  return () => {
    isOpen = false;
    stream.destroy();
    stopNext();
  };
}
