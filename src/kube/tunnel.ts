import * as http from 'node:http';
import type { Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { errorCode } from './errors.ts';
import type { Proxy } from './proxy.ts';
import { authorityOf, type ServerAddress } from './server-address.ts';

/** A connection through the proxy on which TLS to the server can begin. Throws an error that names the proxy. */
export function openTunnel(proxy: Proxy, server: ServerAddress, signal: AbortSignal): Promise<Socket> {
  const authority = authorityOf(server);
  const { authorization } = proxy;
  return new Promise((resolve, reject) => {
    const fail = (why: string, error?: Error): void => {
      const problem = new Error(`proxy ${proxy.name}: ${why}`, { cause: error });
      reject(Object.assign(problem, { code: errorCode(error) || 'ECONNREFUSED' }));
    };
    const request = http.request({
      method: 'CONNECT',
      host: proxy.host,
      port: proxy.port,
      path: authority,
      agent: false,
      signal,
      headers: {
        host: authority,
        ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
      },
    });
    request.once('connect', (answer, socket, head) => {
      // With TLS the client speaks first.
      if (answer.statusCode === 200 && head.length === 0) {
        resolve(socket);
        return;
      }
      socket.destroy();
      fail(`it answered ${answer.statusCode} ${answer.statusMessage}`);
    });
    request.once('error', (error) => {
      if (signal.aborted && signal.reason instanceof Error) reject(signal.reason);
      else fail(messageOf(error), error);
    });
    request.end();
  });
}
