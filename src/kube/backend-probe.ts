import * as http from 'node:http';
import type * as https from 'node:https';
import type { Socket } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { familyOf, parseIp } from '../lib/ip.ts';
import type { Credentials } from './credentials.ts';
import { LOCAL_NAME } from './select-client.ts';
import { namedIsTrusted } from './trust.ts';

export interface BackendProbeOptions {
  readonly port: number;
  /** `/readyz`, or `/version` as kube-vip asks. */
  readonly path: string;
  /** Absent: what the API client speaks. */
  readonly scheme?: 'http' | 'https';
  /** The server ended the connection of its probes, as the kernel does for one that died. */
  readonly onLost?: (host: string) => void;
}

/** Asks API servers, each over a connection of its own, whether they serve. */
export interface BackendProber<Answer = string | undefined> {
  /**
   * Resolves to undefined when the server answered 200, else to what was wrong; rejects when there was
   * no answer or the signal aborted. The connection is kept for the next probe unless this one failed: a
   * connection to a server that is gone must not be asked again.
   */
  probe(host: string, signal: AbortSignal): Promise<Answer>;
  /** Drops the connections to a backend that is no longer of interest. */
  forget(host: string): void;
  close(): void;
}

/** One connection, kept. */
const kept = { keepAlive: true, maxSockets: 1, maxFreeSockets: 1 };

/** Probes with the credentials of the API client, whatever kubeconfig they come from. */
export function createBackendProber(credentials: Credentials, options: BackendProbeOptions): BackendProber {
  const agents = new Map<string, http.Agent>();
  const forget = (host: string): void => {
    agents.get(host)?.destroy();
    agents.delete(host);
  };
  const ask = async (host: string, signal: AbortSignal): Promise<string | undefined> => {
    const { server, ca, cert, key, token, isInsecure } = await credentials.current();
    const secure = (options.scheme ?? server.scheme) === 'https';
    // Loaded with the first probe: no start waits for it.
    const transport = secure ? await import('node:https') : http;
    const agent = agents.get(host) ?? new transport.Agent(kept);
    agents.set(host, agent);
    const address = parseIp(host);
    const request: https.RequestOptions = {
      host,
      family: address === undefined ? 0 : familyOf(address),
      port: options.port,
      path: options.path,
      agent,
      signal,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(secure ? { ca, cert, key, rejectUnauthorized: !isInsecure, servername: LOCAL_NAME } : {}),
      ...namedIsTrusted,
      // A node's certificate names its address; every kubeadm API server's names `kubernetes` too.
      checkServerIdentity: (_host, certificate) =>
        checkServerIdentity(host, certificate) && checkServerIdentity(LOCAL_NAME, certificate),
    };
    const onSocket = (socket: Socket): void => {
      socket.once('close', () => {
        // Not one that was forgotten here.
        if (agents.get(host) === agent) options.onLost?.(host);
      });
    };
    const status = await statusOf(transport, request, onSocket);
    return status === 200 ? undefined : `${options.path} answered ${status}`;
  };
  return {
    probe: async (host, signal) => {
      let problem: string | undefined = 'no answer';
      try {
        problem = await ask(host, signal);
        return problem;
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') options.onLost?.(host);
        throw error;
      } finally {
        if (problem !== undefined) forget(host);
      }
    },
    forget,
    close: () => {
      for (const host of [...agents.keys()]) forget(host);
    },
  };
}

function statusOf(
  transport: typeof http | typeof https,
  options: https.RequestOptions,
  onNewSocket: (socket: Socket) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = transport.get(options, (answer) => {
      answer.resume();
      answer.on('end', () => {
        resolve(answer.statusCode ?? 0);
      });
      answer.on('error', reject);
    });
    request.on('socket', (socket) => {
      if (!request.reusedSocket) onNewSocket(socket);
    });
    request.on('error', reject);
  });
}
