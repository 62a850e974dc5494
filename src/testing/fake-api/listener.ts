import { createServer as createHttp1 } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createSecureServer, createServer as createHttp2 } from 'node:http2';
import { createServer as createHttps1 } from 'node:https';
import type { Http2ServerRequest, ServerHttp2Session } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Valve } from './valve.ts';

export type Request = IncomingMessage | Http2ServerRequest;
/** What HTTP/1.1 and HTTP/2 responses have in common, as far as it is used. */
export interface Response {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  /** HTTP/2 sends headers at once, HTTP/1.1 wants to be asked. */
  flushHeaders?(): void;
  write(text: string): boolean;
  end(): unknown;
  destroy(): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}
export type Handler = (request: Request, response: Response) => void;

export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Streams a connection may have at once; default: no limit. */
  readonly maxStreams?: number;
  /** As a server that knows no HTTP/2, whatever the client would like. */
  readonly http1Only?: boolean;
  /** PEM. With it the listener speaks TLS; without, h2c and HTTP/1.1 on the same port. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly clientCa?: string };
}

/** One address the fake API server answers on. */
export interface ApiListener {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Connections accepted so far. */
  readonly accepted: number;
  readonly openConnections: number;
  /** Connections, new and old, stay open, but nothing passes. */
  blackHole(on: boolean): void;
  /** Resets every connection. */
  closeSockets(): void;
  /** Graceful: no new streams on the open HTTP/2 connections, the old streams go on. */
  goaway(): void;
  /** Stops listening and resets every connection. */
  close(): Promise<void>;
}

const HTTP2_PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export async function startListener(handler: Handler, options: ListenOptions): Promise<ApiListener> {
  const listener = new Listener(handler, options);
  await listener.listen();
  return listener;
}

class Listener implements ApiListener {
  readonly host: string;
  port: number;
  accepted = 0;
  private readonly scheme: 'http' | 'https';
  private readonly tcp: Server;
  private readonly valves = new Set<Valve>();
  private readonly sessions = new Set<ServerHttp2Session>();
  private readonly settings: { readonly maxConcurrentStreams?: number };
  private readonly http1Only: boolean;
  private isBlackHole = false;

  constructor(handler: Handler, options: ListenOptions) {
    this.host = options.host ?? '127.0.0.1';
    this.port = options.port ?? 0;
    this.scheme = options.tls === undefined ? 'http' : 'https';
    this.http1Only = options.http1Only ?? false;
    this.settings = options.maxStreams === undefined ? {} : { maxConcurrentStreams: options.maxStreams };
    const serve = options.tls === undefined ? this.plain(handler) : this.secure(handler, options.tls);
    this.tcp = createTcp((socket) => {
      this.accept(socket, serve);
    });
  }

  get url(): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    return `${this.scheme}://${host}:${this.port}`;
  }

  get openConnections(): number {
    return this.valves.size;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tcp.once('error', reject);
      this.tcp.listen(this.port, this.host, () => {
        this.port = (this.tcp.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  blackHole(on: boolean): void {
    this.isBlackHole = on;
    for (const valve of this.valves) valve.setShut(on);
  }

  closeSockets(): void {
    for (const valve of this.valves) valve.socket.resetAndDestroy();
  }

  goaway(): void {
    for (const session of this.sessions) session.close();
  }

  close(): Promise<void> {
    this.closeSockets();
    return new Promise((resolve) => {
      this.tcp.close(() => {
        resolve();
      });
    });
  }

  private accept(socket: Socket, serve: (connection: Duplex) => void): void {
    this.accepted++;
    socket.setNoDelay(true);
    const valve = new Valve(socket, this.isBlackHole);
    this.valves.add(valve);
    valve.once('close', () => this.valves.delete(valve));
    valve.on('error', () => undefined);
    serve(valve);
  }

  private plain(handler: Handler): (connection: Duplex) => void {
    const http2 = createHttp2({ settings: this.settings }, handler);
    const http1 = createHttp1(handler);
    this.track(http2);
    return (connection) => {
      sniff(connection, (isHttp2) => {
        (isHttp2 && !this.http1Only ? http2 : http1).emit('connection', connection);
      });
    };
  }

  private secure(handler: Handler, tls: NonNullable<ListenOptions['tls']>): (connection: Duplex) => void {
    const { key, cert, clientCa } = tls;
    const client =
      clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false };
    if (this.http1Only) {
      const http1 = createHttps1({ key, cert, ...client }, handler);
      return (connection) => http1.emit('connection', connection);
    }
    const server = createSecureServer(
      { key, cert, allowHTTP1: true, settings: this.settings, ...client },
      handler,
    );
    server.on('tlsClientError', () => undefined);
    this.track(server);
    return (connection) => {
      server.emit('connection', connection);
    };
  }

  private track(server: ReturnType<typeof createHttp2> | ReturnType<typeof createSecureServer>): void {
    server.on('sessionError', () => undefined);
    server.on('session', (session: ServerHttp2Session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
  }
}

/** Looks at the first bytes and puts them back. */
function sniff(connection: Duplex, decide: (isHttp2: boolean) => void): void {
  const look = (): void => {
    const chunk = connection.read() as Buffer | null;
    if (chunk === null) {
      connection.once('readable', look);
      return;
    }
    connection.unshift(chunk);
    const length = Math.min(chunk.length, HTTP2_PREFACE.length);
    decide(chunk.toString('latin1', 0, length) === HTTP2_PREFACE.slice(0, length));
  };
  connection.once('readable', look);
}
