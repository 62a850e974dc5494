import { connect as netConnect, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { checkServerIdentity, connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from './connection.ts';
import type { Proxy } from './proxy.ts';
import { namedIsTrusted, trustSystemRoots } from './trust.ts';
import { openTunnel } from './tunnel.ts';

/** How the server is found. */
interface Ways {
  readonly lookup: LookupFunction | undefined;
  readonly proxy: Proxy | undefined;
}

/**
 * Opens a TCP or TLS connection that is ready to carry requests: HTTP/2 where the server takes it, otherwise
 * HTTP/1.1. Without TLS nothing is negotiated, so `protocol` is undefined then. Throws what Node reports.
 */
export async function openSocket(
  connection: Connection,
  { lookup, proxy }: Ways,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly protocol: 'h2' | 'http/1.1' | undefined }> {
  const target = {
    host: connection.server.host,
    port: connection.server.port,
    ...(lookup === undefined ? {} : { lookup }),
  };
  if (connection.server.scheme === 'http') {
    const plain = netConnect(target);
    await ready(plain, 'connect', signal);
    return { socket: plain, protocol: undefined };
  }
  const tunnel = proxy === undefined ? undefined : await openTunnel(proxy, connection.server, signal);
  const way = tunnel === undefined ? target : { socket: tunnel };
  const socket = tlsConnect({ ...way, ...tlsOptions(connection) });
  await ready(socket, 'secureConnect', signal);
  return { socket, protocol: socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1' };
}

function tlsOptions(connection: Connection): ConnectionOptions {
  const name = connection.tlsServerName ?? connection.server.host;
  const { ca, cert, key } = connection;
  if (ca === undefined && !connection.isInsecure) trustSystemRoots();
  return {
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !connection.isInsecure,
    ...namedIsTrusted,
    // RFC 6066 3: SNI carries names only, never addresses.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}

function ready(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      cleanUp();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const abort = (): void => {
      fail(signal.reason instanceof Error ? signal.reason : new Error('connecting was given up'));
    };
    const close = (): void => {
      fail(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }));
    };
    const cleanUp = (): void => {
      socket.off('error', fail);
      socket.off('close', close);
      signal.removeEventListener('abort', abort);
    };
    socket.once('error', fail);
    socket.once('close', close);
    socket.once(event, () => {
      cleanUp();
      socket.setNoDelay(true);
      resolve(socket);
    });
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}
