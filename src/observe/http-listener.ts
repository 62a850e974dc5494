import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { gather } from './gather.ts';
import { HttpConnections } from './http-connections.ts';

export interface Reply {
  readonly status: number;
  readonly type: string;
  /** Text in pieces is put together over several turns of the event loop. */
  readonly body: string | Iterable<string>;
}

export interface ListenAddress {
  /** undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface ListenerOptions {
  /** What the listener is for, in log lines. */
  readonly name: string;
  readonly listen: ListenAddress;
  /** Answers a GET of this path (query removed). */
  readonly answer: (path: string) => Reply;
  readonly log: Logger;
}

export interface HttpListener {
  /** Resolves once it listens, or with undefined when it cannot: that is logged and nothing else. */
  readonly listening: Promise<ListenAddress | undefined>;
  /** Lets running answers finish for at most `graceMs`, then cuts them off. Never rejects, never takes longer. */
  close(graceMs: number): Promise<void>;
}

/** Scrapers and probes are few. */
const MAX_CONNECTIONS = 256;
const HEADER_TIMEOUT_MS = 2000;

/**
 * What the end of the process says to connections that have asked nothing, as a server may before it closes one (RFC 9110
 * 15.6.4): whoever keeps one open to see that this process runs can tell its end from its death.
 */
export const farewell = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n';

/** An HTTP server for GET and HEAD. It never throws: a port that is taken is one error line. */
export function openHttpListener(options: ListenerOptions): HttpListener {
  const { name, listen, log } = options;
  // One long text at a time, in the order of the requests: two would read half of each other's figures.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (pieces: Iterable<string>): Promise<string> => {
    const text = last.then(() => gather(pieces));
    last = text.catch(() => undefined);
    return text;
  };
  const connections = new HttpConnections(MAX_CONNECTIONS);
  const server = createServer(
    {
      headersTimeout: HEADER_TIMEOUT_MS,
      requestTimeout: 5000,
      keepAliveTimeout: 5000,
      // How late the two limits above may strike; looking twice a second was a third of all wakeups of a node at rest.
      connectionsCheckingInterval: 5000,
    },
    (request, response) => {
      const { socket } = request;
      if (!connections.begin(socket)) return;
      response.once('close', () => {
        connections.end(socket);
      });
      void respond(request, response, options, inTurn);
    },
  );
  server.on('connection', (socket) => {
    connections.add(socket);
  });
  // A reader that stops reading holds its answer for no longer than this.
  server.setTimeout(10_000);
  const listening = new Promise<ListenAddress | undefined>((resolve) => {
    server.once('listening', () => {
      const address = server.address() as AddressInfo;
      log.info(`${name} listens`, {
        address: formatListenAddress({ host: listen.host, port: address.port }),
      });
      resolve({ host: listen.host, port: address.port });
    });
    server.on('error', (error) => {
      log.error(`${name} cannot listen; going on without it`, {
        address: formatListenAddress(listen),
        error,
      });
      resolve(undefined);
    });
  });
  server.listen({ port: listen.port, ...(listen.host === undefined ? {} : { host: listen.host }) });
  return { listening, close: (graceMs) => closeServer(server, connections, graceMs) };
}

/** Never rejects. */
async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: ListenerOptions,
  inTurn: (pieces: Iterable<string>) => Promise<string>,
): Promise<void> {
  const { status, type, body } = await replyTo(request, options, inTurn);
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD', connection: 'close' } : {}),
  });
  response.end(body);
}

async function replyTo(
  request: IncomingMessage,
  { answer, log, name }: ListenerOptions,
  inTurn: (pieces: Iterable<string>) => Promise<string>,
): Promise<Reply & { readonly body: string }> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return plainReply(405, 'only GET and HEAD\n');
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  try {
    const { body, ...reply } = answer(path);
    return { ...reply, body: typeof body === 'string' ? body : await inTurn(body) };
  } catch (error) {
    log.error(`${name} failed to answer`, { path, error });
    return plainReply(500, `${messageOf(error)}\n`);
  }
}

export function plainReply(status: number, body: string): Reply & { readonly body: string } {
  return { status, type: 'text/plain; charset=utf-8', body };
}

function closeServer(server: Server, connections: HttpConnections, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    // The callback also comes, with an error, when the server never listened.
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    for (const socket of connections.silent()) socket.end(farewell);
    server.closeIdleConnections();
  });
}

/** `:2112`, `host:port` or `[::1]:2112`; undefined when it is none of these. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  return port > 65_535 ? undefined : { host: host === '' ? undefined : host, port };
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
