import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { sameTransport } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { fromFailure } from './errors.ts';
import type { KubeError } from './errors.ts';
import type { LoopbackFallback } from './lookup.ts';
import { formatServer } from './server-address.ts';
import { KubeSession } from './session.ts';
import { openSocket } from './socket.ts';

export interface PoolComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly credentials: Credentials;
  readonly fallback: LoopbackFallback;
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
  private readonly sessions = new Set<KubeSession>();
  private readonly stopping = new AbortController();
  private connecting: Promise<KubeSession> | undefined;
  private connectedWith: Connection | undefined;
  private failures = 0;
  private notBefore = -Infinity;
  private lastFailure: KubeError | undefined;
  /** Sessions opened so far. */
  opened = 0;

  constructor(components: PoolComponents, options: PoolOptions) {
    this.components = components;
    this.options = options;
  }

  /** Why no connection could be made last time; undefined while there is one. */
  get failure(): KubeError | undefined {
    return this.lastFailure;
  }

  get openSessions(): number {
    return this.sessions.size;
  }

  /** A session that takes another stream, for these credentials. */
  async acquire(connection: Connection): Promise<KubeSession> {
    if (this.connectedWith !== undefined && !sameTransport(this.connectedWith, connection)) this.drain();
    for (const session of this.sessions) if (session.isOpen && session.room > 0) return session;
    this.connecting ??= this.connect().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
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

  private async connect(): Promise<KubeSession> {
    const { clock } = this.components;
    const wait = this.notBefore - clock.now();
    if (wait > 0) await clock.sleep('kube-reconnect', wait, this.stopping.signal);
    try {
      const session = await this.connectWithFreshCredentials();
      this.failures = 0;
      this.lastFailure = undefined;
      return session;
    } catch (error) {
      const failure = fromFailure(error, '');
      this.failures++;
      this.notBefore = clock.now() + backoffMs(this.failures, RECONNECT, this.components.random);
      this.lastFailure = failure;
      throw failure;
    }
  }

  /** A certificate or CA that rotated on disk shows as a failed handshake: read them again, try once more. */
  private async connectWithFreshCredentials(): Promise<KubeSession> {
    const { credentials } = this.components;
    const used = await credentials.current();
    try {
      return await this.open(used);
    } catch (error) {
      if (this.stopping.signal.aborted) throw error;
      const fresh = await credentials.refresh();
      if (sameTransport(used, fresh)) throw error;
      return await this.open(fresh);
    }
  }

  private async open(connection: Connection): Promise<KubeSession> {
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
      const socket = await openSocket(connection, lookup, attempt.signal);
      const session = new KubeSession(connection.server, socket, clock, this.options, (ended) => {
        this.sessions.delete(ended);
      });
      this.sessions.add(session);
      this.connectedWith = connection;
      this.opened++;
      return session;
    } finally {
      timer.cancel();
      this.stopping.signal.removeEventListener('abort', giveUp);
    }
  }
}
