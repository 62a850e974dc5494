import type { OutgoingHttpHeaders } from 'node:http2';
import type { Readable } from 'node:stream';

/** The pseudo headers of RFC 9113 8.3.1, which say in HTTP/1.1, too, what is asked for, and the others. */
export type RequestHeaders = OutgoingHttpHeaders & {
  readonly ':method': string;
  readonly ':path': string;
  readonly ':scheme': string;
  readonly ':authority': string;
};

/** A request under way: emits `response` with the headers, then the body; `end(body)` sends it where it has one. */
export interface AnswerStream extends Readable {
  readonly aborted: boolean;
  end(body?: string): unknown;
  /** Gives it up; the code is for HTTP/2. */
  close(code?: number): void;
}

/** A connection to the API server that carries requests, several at once or one after the other. */
export interface Session {
  /** Did it bring at least one answer? */
  readonly hasServed: boolean;
  /** May a new request be sent here? */
  readonly isOpen: boolean;
  /**
   * Resolves when the server has shown that it speaks our protocol, where it has to; rejects when it says something
   * else, or with the signal's reason.
   */
  ready(signal: AbortSignal): Promise<void>;
  /** Takes a place for one request, to be used by `open` or given back by `release`; false when there is none. */
  reserve(): boolean;
  release(): void;
  /** Sends the request that a place was reserved for; with a body, `end(body)` follows. Throws when the session went away since. */
  open(headers: RequestHeaders, hasBody: boolean): AnswerStream;
  /** Does the other end answer within `waitMs`? True where it cannot be asked. */
  answers(waitMs: number): Promise<boolean>;
  /** No new requests; the open ones run to their end. */
  drain(): void;
  destroy(why: Error): void;
}
