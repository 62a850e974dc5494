import type { LookupFunction } from 'node:net';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { sameTransport } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { explainConnect } from './connect-error.ts';
import { fromFailure } from './errors.ts';
import type { KubeError } from './errors.ts';
import type { Proxy } from './proxy.ts';
import type { LoopbackFallback } from './lookup.ts';
import { formatServer } from './server-address.ts';
import { Http1Session } from './http1-session.ts';
import { KubeSession } from './session.ts';
import { openSocket } from './socket.ts';
import type { Session } from './transport.ts';

export interface PoolComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly credentials: Credentials;
  readonly fallback: LoopbackFallback;
  readonly proxy?: ChooseProxy;
  /** What the server has been found to speak, for all pools of a client. */
  readonly spoken: Spoken;
}

/** Which proxy leads to the server, if any. Throws ProxyError. */
export type ChooseProxy = (connection: Connection) => Proxy | undefined;

export interface Spoken {
  /** It said in plain words that it knows no HTTP/2. */
  isHttp1: boolean;
  /** That has been logged. */
  isReported: boolean;
}

export interface PoolOptions {
  readonly pingMs: number;
  readonly connectTimeoutMs: number;
}

/** Close enough together that an API server coming up is noticed within a second. */
const RECONNECT = { baseMs: 50, maxMs: 1000 };

/**
 * Sessions to one server. Normally there is one; another is opened when the server said GOAWAY, a
 * call on it timed out, its stream limit is reached, or the credentials changed. Connects only when
 * somebody waits for it, once for all who wait.
 */
export class SessionPool {
  private readonly components: PoolComponents;
  private readonly options: PoolOptions;
  private readonly sessions = new Set<Session>();
  private readonly stopping = new AbortController();
  private connecting: Promise<void> | undefined;
  private connectedWith: Connection | undefined;
  private failures = 0;
  private notBefore = -Infinity;
  private lastFailure: KubeError | undefined;

  constructor(components: PoolComponents, options: PoolOptions) {
    this.components = components;
    this.options = options;
  }

  /** Why no connection could be made last time; undefined while there is one. */
  get failure(): KubeError | undefined {
    return this.lastFailure;
  }

  /** A session for these credentials, with a place for one stream reserved. */
  async acquire(connection: Connection, signal: AbortSignal): Promise<Session> {
    if (this.connectedWith !== undefined && !sameTransport(this.connectedWith, connection)) this.drain();
    for (;;) {
      for (const session of this.sessions) if (session.reserve()) return session;
      this.connecting ??= this.connect().finally(() => {
        this.connecting = undefined;
      });
      await this.connecting;
      signal.throwIfAborted();
    }
  }

  /** Lets open streams end; new ones get a new session. */
  drain(): void {
    for (const session of this.sessions) session.drain();
    this.connectedWith = undefined;
  }

  close(): void {
    const why = Object.assign(new Error('the client was closed'), { code: 'ECANCELED' });
    this.stopping.abort(why);
    for (const session of this.sessions) session.destroy(why);
  }

  private async connect(): Promise<void> {
    const { clock } = this.components;
    const wait = this.notBefore - clock.now();
    if (wait > 0) await clock.sleep('kube-reconnect', wait, this.stopping.signal);
    try {
      await this.connectWithFreshCredentials();
      this.lastFailure = undefined;
    } catch (error) {
      const { known } = this.components.credentials;
      this.lastFailure = fromFailure(known === undefined ? error : explainConnect(error, known.server), '');
      this.backOff();
      throw this.lastFailure;
    }
  }

  private backOff(): void {
    this.failures++;
    const { clock, random } = this.components;
    this.notBefore = clock.now() + backoffMs(this.failures, RECONNECT, random);
  }

  /** A server that accepts and hangs up is one that fails: it must not make us spin. */
  private ended(session: Session): void {
    if (!this.sessions.delete(session)) return; // never got as far as being used: counted by connect()
    if (session.hasServed) this.failures = 0;
    else this.backOff();
  }

  /** A certificate or CA that rotated on disk shows as a failed handshake: read them again, try once more. */
  private async connectWithFreshCredentials(): Promise<void> {
    const { credentials } = this.components;
    const used = await credentials.current();
    try {
      await this.open(used);
    } catch (error) {
      if (this.stopping.signal.aborted) throw error;
      const fresh = await credentials.refresh();
      if (sameTransport(used, fresh)) throw error;
      await this.open(fresh);
    }
  }

  private async open(connection: Connection): Promise<void> {
    const { clock } = this.components;
    const attempt = new AbortController();
    const giveUp = (): void => {
      attempt.abort(this.stopping.signal.reason);
    };
    const timer = clock.after('kube-connect', this.options.connectTimeoutMs, () => {
      const message = `no connection to ${formatServer(connection.server)} within ${this.options.connectTimeoutMs} ms`;
      attempt.abort(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
    });
    this.stopping.signal.addEventListener('abort', giveUp, { once: true });
    if (this.stopping.signal.aborted) giveUp();
    try {
      const lookup = connection.fallsBackToLoopback ? this.components.fallback.lookup : undefined;
      this.sessions.add(await this.introduce(connection, lookup, attempt.signal));
      this.connectedWith = connection;
    } finally {
      timer.cancel();
      this.stopping.signal.removeEventListener('abort', giveUp);
    }
  }

  /** A connection over which the server speaks. Without TLS, HTTP/2 is tried first. */
  private async introduce(
    connection: Connection,
    lookup: LookupFunction | undefined,
    signal: AbortSignal,
  ): Promise<Session> {
    const proxy = this.components.proxy?.(connection);
    const { socket, protocol } = await openSocket(connection, { lookup, proxy }, signal);
    const ended = (session: Session): void => {
      this.ended(session);
    };
    if ((protocol ?? (this.components.spoken.isHttp1 ? 'http/1.1' : 'h2')) === 'http/1.1') {
      this.noteHttp1(connection);
      return new Http1Session(socket, ended);
    }
    const session = new KubeSession(connection.server, socket, this.components.clock, this.options, ended);
    try {
      await session.ready(signal);
      return session;
    } catch (error) {
      const speaksOther = protocol === undefined && fromFailure(error, '').kind === 'garbage';
      if (!speaksOther || this.components.spoken.isHttp1) throw error;
      this.components.spoken.isHttp1 = true;
      return this.introduce(connection, lookup, signal);
    }
  }

  private noteHttp1({ server }: Connection): void {
    if (this.components.spoken.isReported) return;
    this.components.spoken.isReported = true;
    this.components.log.warn(
      'the API server, or what stands in front of it, speaks HTTP/1.1 only: each watch takes a connection',
      {
        server: formatServer(server),
      },
    );
  }
}
