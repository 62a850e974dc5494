import { connect, type Socket } from 'node:net';
import type { BackendProber } from './backend-probe.ts';
import { errorCode } from './errors.ts';
import type { ProbeAnswer } from './types.ts';

export interface PresenceOptions {
  /** A port on which our own program listens wherever it runs. */
  readonly port: number;
  /** What it says there to who has asked nothing when it ends in good order. */
  readonly farewell: string;
  /** Addresses at which it can be looked for; others count as served. */
  readonly covers: (host: string) => boolean;
  /** It was found to be absent, or its connection has ended: to be asked again at once. */
  readonly onChange: (host: string) => void;
}

/** What is known of our own program beside a server. */
interface Neighbour {
  socket: Socket | undefined;
  isAbsent: boolean;
  /** It was there, and has not said that it ends: what it put into the kernel is there still. */
  hasLeftVip: boolean;
}

/**
 * A prober for servers that serve only while our own program runs beside them: direct return, where it puts the VIP
 * on `lo`. One connection to its port is kept with each. While connections there are refused the server counts as
 * one that refuses, for an end takes the VIP from `lo`; but a program that was killed cannot do that, so the
 * connections that the server has go on, and it is only left out of new ones. Nothing but a refusal counts: packets
 * to that port may be dropped for other reasons. A firewall that refuses in the name of the machine looks like a
 * program that was never there: Linux reports both alike.
 */
export function withPresence(prober: BackendProber, options: PresenceOptions): BackendProber<ProbeAnswer> {
  const neighbours = new Map<string, Neighbour>();
  const look = (host: string): Neighbour | undefined => {
    if (!options.covers(host)) return undefined;
    const known = neighbours.get(host) ?? { socket: undefined, isAbsent: false, hasLeftVip: false };
    neighbours.set(host, known);
    if (known.socket === undefined) keep(host, known);
    return known;
  };
  const keep = (host: string, neighbour: Neighbour): void => {
    const socket = connect({ host, port: options.port });
    socket.unref();
    neighbour.socket = socket;
    const isCurrent = (): boolean => neighbour.socket === socket;
    socket.on('connect', () => {
      neighbour.isAbsent = false;
      neighbour.hasLeftVip = true;
    });
    let said = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      said = (said + text).slice(0, options.farewell.length);
      if (isCurrent() && said === options.farewell) neighbour.hasLeftVip = false;
    });
    socket.on('error', (error) => {
      if (errorCode(error) === 'ECONNREFUSED' && isCurrent()) neighbour.isAbsent = true;
    });
    socket.on('close', () => {
      if (!isCurrent()) return;
      neighbour.socket = undefined;
      options.onChange(host);
    });
  };
  const forget = (host: string): void => {
    const neighbour = neighbours.get(host);
    neighbours.delete(host);
    const socket = neighbour?.socket;
    if (neighbour !== undefined) neighbour.socket = undefined;
    socket?.destroy();
  };
  return {
    probe: async (host, signal) => {
      const neighbour = look(host);
      if (neighbour?.isAbsent !== true) return prober.probe(host, signal);
      const place = `${host}:${options.port}`;
      if (!neighbour.hasLeftVip) throw absent(place);
      return (
        (await prober.probe(host, signal)) ?? { keepsOnly: `kube-vip was killed there (${refused(place)})` }
      );
    },
    forget: (host) => {
      forget(host);
      prober.forget(host);
    },
    close: () => {
      for (const host of [...neighbours.keys()]) forget(host);
      prober.close();
    },
  };
}

function refused(place: string): string {
  return `connect ECONNREFUSED ${place}`;
}

/** The remedies: where it does run, a firewall is what refuses. */
function absent(place: string): Error {
  const message =
    `kube-vip does not run there, and nobody else puts the VIP on lo (${refused(place)}); if it does, ` +
    'let the control-plane nodes reach that TCP port, or set prometheus_server to another one on all of them';
  return Object.assign(new Error(message), { code: 'ECONNREFUSED' });
}
