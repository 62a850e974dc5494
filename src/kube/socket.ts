import { connect as netConnect, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { checkServerIdentity, connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from './connection.ts';

/**
 * Opens a TCP or TLS connection that is ready to carry requests: HTTP/2 where the server takes it, otherwise
 * HTTP/1.1. Without TLS nothing is negotiated, so `protocol` is undefined then. Throws what Node reports.
 */
export function openSocket(
  connection: Connection,
  lookup: LookupFunction | undefined,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly protocol: 'h2' | 'http/1.1' | undefined }> {
  const target = {
    host: connection.server.host,
    port: connection.server.port,
    ...(lookup === undefined ? {} : { lookup }),
  };
  if (connection.server.scheme === 'http') {
    const plain = netConnect(target);
    return ready(plain, 'connect', signal).then(() => ({ socket: plain, protocol: undefined }));
  }
  const socket = tlsConnect({ ...target, ...tlsOptions(connection) });
  return ready(socket, 'secureConnect', signal).then(() => ({
    socket,
    protocol: socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1',
  }));
}

function tlsOptions(connection: Connection): ConnectionOptions {
  const name = connection.tlsServerName ?? connection.server.host;
  const { ca, cert, key } = connection;
  return {
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !connection.isInsecure,
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
