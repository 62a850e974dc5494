import { connect as http2Connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../lib/clock.ts';
import { authorityOf } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';
import type { RequestHeaders, Session } from './transport.ts';

export interface SessionOptions {
  /** Milliseconds between PINGs. */
  readonly pingMs: number;
}

/** PINGs in a row without an answer after which a session counts as dead. */
const MAX_MISSED_PINGS = 2;
const STREAM_WINDOW = 1 << 20;
const SESSION_WINDOW = 8 << 20;

/**
 * One HTTP/2 connection that knows whether it is still alive. A PING goes out every `pingMs`; after
 * two unanswered ones all streams fail at once. Two, not one: a process that was paused finds its
 * timer due before it had a chance to read the answer that was waiting.
 */
export class KubeSession implements Session {
  private readonly http2: ClientHttp2Session;
  private readonly clock: Clock;
  private readonly options: SessionOptions;
  private timer: Timer | undefined;
  private awaiting = false;
  private question: Promise<boolean> | undefined;
  private missed = 0;
  private streams = 0;
  private drained = false;
  private served = false;
  private whyDestroyed: Error | undefined;

  constructor(
    server: ServerAddress,
    socket: Socket,
    clock: Clock,
    options: SessionOptions,
    closed: (session: Session, why: Error | undefined) => void,
  ) {
    this.clock = clock;
    this.options = options;
    this.http2 = http2Connect(`${server.scheme}://${authorityOf(server)}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    });
    this.http2.once('connect', () => {
      if (!this.http2.destroyed) this.http2.setLocalWindowSize(SESSION_WINDOW);
    });
    this.http2.on('goaway', () => {
      this.drain();
    });
    this.http2.on('error', (error: Error) => {
      this.whyDestroyed ??= error;
    });
    this.http2.once('close', () => {
      this.timer?.cancel();
      this.drained = true;
      closed(this, this.whyDestroyed);
    });
    this.schedulePing();
  }

  /** Did it bring at least one answer? */
  get hasServed(): boolean {
    return this.served;
  }

  /** May a new stream be opened here? */
  get isOpen(): boolean {
    return !this.drained && !this.http2.closed && !this.http2.destroyed;
  }

  /**
   * Resolves when the server has introduced itself (SETTINGS, RFC 9113 3.4): from then on its limit of
   * streams is known. Rejects when it says something else, or with the signal's reason.
   */
  ready(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.destroy(signal.reason instanceof Error ? signal.reason : new Error('connecting was given up'));
      };
      signal.addEventListener('abort', abort, { once: true });
      this.http2.once('remoteSettings', () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      this.http2.once('close', () => {
        signal.removeEventListener('abort', abort);
        reject(this.whyDestroyed ?? connectionReset());
      });
    });
  }

  /**
   * Takes a place for one stream, to be used by `open` or given back by `release`; false when the
   * server's limit is reached.
   */
  reserve(): boolean {
    if (!this.isOpen || this.streams >= (this.http2.remoteSettings.maxConcurrentStreams ?? 100)) return false;
    this.streams++;
    return true;
  }

  release(): void {
    this.streams--;
  }

  /** Opens the stream a place was reserved for. Throws when the session went away since. */
  open(headers: RequestHeaders, hasBody: boolean): ClientHttp2Stream {
    try {
      const stream = this.http2.request(headers, { endStream: !hasBody });
      stream.once('response', () => {
        this.served = true;
      });
      stream.once('close', () => {
        this.release();
      });
      return stream;
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /**
   * Does the other end answer within `waitMs`? Asked when an answer is long in coming: a slow server still
   * answers a PING at once, a connection that leads nowhere does not.
   */
  answers(waitMs: number): Promise<boolean> {
    this.question ??= this.ask(waitMs).finally(() => {
      this.question = undefined;
    });
    return this.question;
  }

  /** No new streams; the open ones run to their end. */
  drain(): void {
    this.drained = true;
    if (!this.http2.closed) this.http2.close();
  }

  destroy(why: Error): void {
    this.drained = true;
    this.whyDestroyed ??= why;
    this.http2.destroy(why, constants.NGHTTP2_CANCEL);
  }

  private ask(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.http2.destroyed) {
        resolve(false);
        return;
      }
      const timer = this.clock.after('kube-ask', waitMs, () => {
        resolve(false);
      });
      this.http2.ping((error) => {
        timer.cancel();
        resolve(error === null);
      });
    });
  }

  private schedulePing(): void {
    this.timer = this.clock.after('kube-ping', this.options.pingMs, () => {
      this.tick();
    });
  }

  private tick(): void {
    if (this.http2.destroyed) return;
    if (this.awaiting) this.missed++;
    if (this.missed >= MAX_MISSED_PINGS) {
      const message = `the server answered none of the last ${MAX_MISSED_PINGS} PINGs`;
      this.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
      return;
    }
    if (!this.awaiting) this.sendPing();
    this.schedulePing();
  }

  private sendPing(): void {
    this.awaiting = true;
    this.http2.ping((error) => {
      if (error !== null) return;
      this.awaiting = false;
      this.missed = 0;
    });
  }
}

function connectionReset(): Error {
  return Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' });
}
