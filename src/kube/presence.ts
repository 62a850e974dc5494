import { connect, type Socket } from 'node:net';
import type { BackendProber } from './backend-probe.ts';
import { errorCode } from './errors.ts';

export interface PresenceOptions {
  /** A port on which our own program listens wherever it runs. */
  readonly port: number;
  /** Addresses at which it can be looked for; others count as served. */
  readonly covers: (host: string) => boolean;
  /** It was found to be absent, or its connection has ended: to be asked again at once. */
  readonly onChange: (host: string) => void;
}

/**
 * A prober for servers that serve only while our own program runs beside them: direct return, where it puts the VIP
 * on `lo`. One connection to its port is kept with each; while connections there are refused the server counts as
 * one that refuses. Nothing but a refusal counts: packets to that port may be dropped for other reasons.
 */
export function withPresence(prober: BackendProber, options: PresenceOptions): BackendProber {
  const sockets = new Map<string, Socket>();
  const absent = new Set<string>();
  const look = (host: string): void => {
    if (sockets.has(host) || !options.covers(host)) return;
    const socket = connect({ host, port: options.port });
    socket.unref();
    sockets.set(host, socket);
    socket.on('connect', () => absent.delete(host));
    // What it says is of no interest, that it has ended is.
    socket.resume();
    socket.on('error', (error) => {
      if (errorCode(error) === 'ECONNREFUSED' && sockets.get(host) === socket) absent.add(host);
    });
    socket.on('close', () => {
      if (sockets.get(host) !== socket) return;
      sockets.delete(host);
      options.onChange(host);
    });
  };
  const forget = (host: string): void => {
    const socket = sockets.get(host);
    sockets.delete(host);
    absent.delete(host);
    socket?.destroy();
  };
  return {
    probe: (host, signal) => {
      look(host);
      if (!absent.has(host)) return prober.probe(host, signal);
      const message = `kube-vip does not run there, and nobody else puts the VIP on lo (connect ECONNREFUSED ${host}:${options.port})`;
      return Promise.reject(Object.assign(new Error(message), { code: 'ECONNREFUSED' }));
    },
    forget: (host) => {
      forget(host);
      prober.forget(host);
    },
    close: () => {
      for (const host of [...sockets.keys()]) forget(host);
      prober.close();
    },
  };
}
