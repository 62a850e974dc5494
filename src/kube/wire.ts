import type { Clock, Timer } from '../lib/clock.ts';
import { sameConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { abortedError, withDeadline } from './deadline.ts';
import { KubeError, fromAnswer, fromFailure } from './errors.ts';
import { readBody, send, wasRefused } from './exchange.ts';
import type { Answer, OpenAnswer } from './exchange.ts';
import type { SessionPool } from './pool.ts';
import { authorityOf } from './server-address.ts';
import type { RequestHeaders, Session } from './transport.ts';

export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path with query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body?: string;
}

export interface WireComponents {
  readonly clock: Clock;
  readonly credentials: Credentials;
}

export interface WireOptions {
  readonly userAgent: string;
  readonly maxBodyBytes: number;
}

export interface StreamLimits {
  /** Milliseconds to wait for the headers. */
  readonly openMs: number;
  /** Milliseconds after the headers within which the server has to end the answer. */
  readonly endMs: number;
}

/** Objectives of API servers promise calls for one object within a second. */
const SILENCE_MS = 1000;
/** The longest round trips, and a busy server. */
const PONG_MS = 500;

/** Requests over a pool of sessions: authentication, one retry where it is safe, nothing about resources. */
export class Wire {
  private readonly components: WireComponents;
  private readonly options: WireOptions;

  constructor(components: WireComponents, options: WireOptions) {
    this.components = components;
    this.options = options;
  }

  /** Sends a request and reads the whole answer, whatever its status. Throws KubeError. */
  async call(
    pool: SessionPool,
    request: WireRequest,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const path = describe(request);
    let session: Session | undefined;
    try {
      return await withDeadline(
        { clock: this.components.clock, path, timeoutMs, signal, whyLate: () => connectionProblem(pool) },
        (limit, giveUp) => {
          const silence = this.onSilence(() => session, path, giveUp);
          const answer = this.authenticated(async (connection) => {
            const open = await this.open(pool, connection, request, limit, (used) => {
              session = used;
            });
            return readBody(open, this.options.maxBodyBytes, path);
          });
          return answer.finally(() => {
            silence.cancel();
          });
        },
      );
    } catch (error) {
      const failure = fromFailure(error, path);
      // The connection may be dead without knowing it yet: the next call takes another one, and this
      // one's PINGs decide what becomes of its other streams.
      if (failure.kind === 'timeout') session?.drain();
      throw failure;
    }
  }

  /**
   * Sends a GET whose answer is read while it comes. An answer that is not over in time has been forgotten
   * by the server, or by something on the way that still answers PINGs: its session ends with it. Throws
   * KubeError, also for every status but 200.
   */
  async stream(
    pool: SessionPool,
    path: string,
    { openMs, endMs }: StreamLimits,
    signal: AbortSignal,
  ): Promise<OpenAnswer> {
    const request: WireRequest = { method: 'GET', path };
    const what = describe(request);
    let session: Session | undefined;
    const whole = new AbortController();
    const abort = (): void => {
      whole.abort(abortedError(what, signal.reason));
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      const answer = await withDeadline(
        {
          clock: this.components.clock,
          path: what,
          timeoutMs: openMs,
          signal,
          whyLate: () => connectionProblem(pool),
        },
        (limit) => {
          limit.addEventListener('abort', () => {
            whole.abort(limit.reason);
          });
          return this.authenticated(async (connection): Promise<OpenAnswer | Answer> => {
            const open = await this.open(pool, connection, request, whole.signal, (used) => {
              session = used;
            });
            return open.status === 200 ? open : readBody(open, this.options.maxBodyBytes, what);
          });
        },
      );
      if (!('consume' in answer)) throw answerError(answer, what);
      const tooLate = (): void => {
        whole.abort(new KubeError({ kind: 'timeout', path: what, message: `not ended within ${endMs} ms` }));
        session?.destroy(Object.assign(new Error('an answer did not end in time'), { code: 'ETIMEDOUT' }));
      };
      const timer = this.components.clock.after('kube-stream-end', endMs, tooLate);
      return whenOver(answer, () => {
        timer.cancel();
        signal.removeEventListener('abort', abort);
      });
    } catch (error) {
      signal.removeEventListener('abort', abort);
      const failure = fromFailure(error, what);
      if (failure.kind === 'timeout') session?.drain();
      throw failure;
    }
  }

  /** Long silence: a server that is slow is waited for, a connection that is dead is not. */
  private onSilence(
    session: () => Session | undefined,
    path: string,
    giveUp: (why: KubeError) => void,
  ): Timer {
    return this.components.clock.after('kube-silence', SILENCE_MS, () => {
      void session()
        ?.answers(PONG_MS)
        .then((isAlive) => {
          const message = `no answer within ${SILENCE_MS + PONG_MS} ms, nor does the connection answer a PING`;
          if (!isAlive) giveUp(new KubeError({ kind: 'timeout', path, message }));
        });
    });
  }

  /** 401: the credentials may have changed on disk. If so, once more with the new ones. */
  private async authenticated<T extends { readonly status: number }>(
    attempt: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { credentials } = this.components;
    const used = await credentials.current();
    const answer = await attempt(used);
    if (answer.status !== 401) return answer;
    const fresh = await credentials.refresh();
    return sameConnection(used, fresh) ? answer : attempt(fresh);
  }

  private async open(
    pool: SessionPool,
    connection: Connection,
    request: WireRequest,
    signal: AbortSignal,
    using: (session: Session) => void,
  ): Promise<OpenAnswer> {
    for (let attempt = 1; ; attempt++) {
      const session = await pool.acquire(connection, signal);
      using(session);
      try {
        return await send(session, this.headers(connection, request), request.body, signal);
      } catch (error) {
        if (attempt > 1 || signal.aborted || !mayRepeat(request, session, error)) throw error;
      }
    }
  }

  private headers(connection: Connection, request: WireRequest): RequestHeaders {
    return {
      ':method': request.method,
      ':path': `${connection.server.basePath}${request.path}`,
      ':scheme': connection.server.scheme,
      ':authority': authorityOf(connection.server),
      accept: 'application/json',
      'user-agent': this.options.userAgent,
      ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
      ...(connection.token === undefined ? {} : { authorization: `Bearer ${connection.token}` }),
    };
  }
}

/** A read on a connection that turned out to be gone may be sent again; a write only if it was refused unread. */
function mayRepeat(request: WireRequest, session: Session, error: unknown): boolean {
  return wasRefused(error) || (request.method === 'GET' && !session.isOpen);
}

function whenOver(answer: OpenAnswer, over: () => void): OpenAnswer {
  return { ...answer, consume: (chunk) => answer.consume(chunk).finally(over) };
}

/** Method and path without its query, for messages. */
export function describe(request: Pick<WireRequest, 'method' | 'path'>): string {
  return `${request.method} ${request.path.split('?')[0] ?? ''}`;
}

function connectionProblem(pool: SessionPool): string {
  return pool.failure === undefined ? '' : ` (no connection: ${pool.failure.message})`;
}

/** The error an answer with any status but 2xx stands for. */
export function answerError(answer: Answer, path: string): KubeError {
  return fromAnswer(answer.status, answer.body.toString('utf8'), path, answer.headers['retry-after']);
}
