import { constants } from 'node:http2';
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import { KubeError, TOO_LARGE, errorCode } from './errors.ts';
import type { AnswerStream, RequestHeaders, Session } from './transport.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An answer whose body is still to come, chunk by chunk. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /**
   * Hands over every chunk; resolves when the body is complete, rejects when the stream breaks off,
   * the consumer throws, or the signal aborts (with its reason). No chunk follows before the promise that the
   * consumer returned has resolved: until then the server may send one more window.
   */
  consume(chunk: (bytes: Buffer) => Promise<void> | undefined): Promise<void>;
}

/** The server refused the stream before it looked at it (RFC 9113 8.7): safe to send again. */
export function wasRefused(error: unknown): boolean {
  const code = errorCode(error);
  if (code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_INVALID_SESSION') return true;
  return error instanceof Error && error.message.includes('NGHTTP2_REFUSED_STREAM');
}

/** Sends one request on a session that has a place reserved; resolves when the answer's headers are there. */
export function send(
  session: Session,
  headers: RequestHeaders,
  body: string | undefined,
  signal: AbortSignal,
): Promise<OpenAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      session.release();
      reject(reasonOf(signal));
      return;
    }
    const stream = session.open(headers, body !== undefined);
    const ending = whenEnded(stream, signal);
    ending.catch(reject);
    stream.once('response', (received: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      resolve({
        status: received[':status'] ?? 0,
        headers: received,
        consume: (chunk) => consume(stream, ending, chunk),
      });
    });
    if (body !== undefined) stream.end(body);
  });
}

/** Settles when the stream is over: resolved only if the server ended it properly. */
function whenEnded(stream: AnswerStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let complete = false;
    const abort = (): void => {
      reject(reasonOf(signal));
      stream.close(constants.NGHTTP2_CANCEL);
    };
    signal.addEventListener('abort', abort, { once: true });
    stream.once('end', () => {
      // A connection that is lost ends its streams too, but only after it destroyed them.
      complete = !stream.aborted && !stream.destroyed;
    });
    stream.on('error', reject);
    stream.once('close', () => {
      signal.removeEventListener('abort', abort);
      if (complete) resolve();
      else reject(Object.assign(new Error('the answer broke off'), { code: 'ECONNRESET' }));
    });
  });
}

async function consume(
  stream: AnswerStream,
  ending: Promise<void>,
  chunk: (bytes: Buffer) => Promise<void> | undefined,
): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error instanceof Error ? error : new Error(String(error)));
      stream.removeAllListeners('data');
      stream.close(constants.NGHTTP2_CANCEL);
    };
    stream.on('data', (bytes: Buffer) => {
      try {
        const busy = chunk(bytes);
        if (busy === undefined) return;
        stream.pause();
        busy.then(() => stream.resume(), fail);
      } catch (error) {
        fail(error);
      }
    });
  });
  await Promise.race([ending, failed]);
}

/** Reads a whole body; more than `limit` bytes is an answer the API may not send. */
export async function readBody(answer: OpenAnswer, limit: number, path: string): Promise<Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  await answer.consume((bytes) => {
    length += bytes.length;
    if (length > limit) {
      throw new KubeError({
        kind: 'garbage',
        path,
        status: answer.status,
        reason: TOO_LARGE,
        message: `the answer is larger than ${limit} bytes`,
      });
    }
    chunks.push(bytes);
    return undefined;
  });
  return { status: answer.status, headers: answer.headers, body: Buffer.concat(chunks) };
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}
