import { connect as netConnect, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { checkServerIdentity, connect as tlsConnect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from './connection.ts';
import { KubeError } from './errors.ts';

/**
 * Opens a TCP or TLS connection that is ready to carry HTTP/2.
 *
 * @throws KubeError kind `garbage` when the server offers no HTTP/2, else what Node reports.
 */
export function openSocket(
  connection: Connection,
  lookup: LookupFunction | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const target = {
    host: connection.server.host,
    port: connection.server.port,
    ...(lookup === undefined ? {} : { lookup }),
  };
  if (connection.server.scheme === 'http') return ready(netConnect(target), 'connect', signal);
  const socket = tlsConnect({ ...target, ...tlsOptions(connection) });
  return ready(socket, 'secureConnect', signal).then(() => {
    if (socket.alpnProtocol === 'h2') return socket;
    socket.destroy();
    throw new KubeError({ kind: 'garbage', path: '', message: 'the server does not offer HTTP/2 (ALPN h2)' });
  });
}

function tlsOptions(connection: Connection): ConnectionOptions {
  const name = connection.tlsServerName ?? connection.server.host;
  const { ca, cert, key } = connection;
  return {
    ALPNProtocols: ['h2'],
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
