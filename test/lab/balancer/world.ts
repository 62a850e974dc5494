import { execFileSync } from 'node:child_process';
import { createServer, Socket, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import assert from 'node:assert/strict';
import { familyOf, ip, ipToBytes, type Ip } from '../../../src/lib/ip.ts';
import { enterNamespace, inNamespace } from '../../../src/linux/netns.ts';
import { NlWriter } from '../../../src/linux/netlink/wire.ts';
import { openKernel, openNftables, systemClock } from '../../../src/linux/index.ts';
import { planTables } from '../../../src/node/forwarding/nftables/plan.ts';
import { roleTable } from '../../../src/node/forwarding/nftables/refusals.ts';
import * as sys from '../../../src/linux/sys.ts';
import type { ClientConnection, Place } from '../../../src/testing/contract/balancer/index.ts';

/**
 *   client   holder   server1   server2   server3       each: `eth0`, a port of one bridge
 *
 * All in one process: this thread lives in the holder's namespace, and a socket belongs for good to
 * the namespace it was made in.
 */
const places: readonly Place[] = ['client', 'holder', 'server1', 'server2', 'server3'];
export const servers = [1, 2, 3] as const;
export const LINK = 'eth0';
const prefix = `kv${process.pid}`;

export function addressOf(place: Place, family: 4 | 6): Ip {
  const host = places.indexOf(place) + 1;
  return ip(family === 4 ? `10.77.0.${host}` : `fd77::${host}`);
}

export function vipOf(n: number, family: 4 | 6): Ip {
  return ip(family === 4 ? `10.77.0.${100 + n}` : `fd77::${(0x100 + n).toString(16)}`);
}

export function namespaceOf(place: Place | 'switch'): string {
  return `${prefix}-${place}`;
}

/** Runs a program in a place; throws with its words when it fails. */
export function run(place: Place | 'switch', command: string): string {
  const [program = '', ...args] = command.split(' ');
  return inNamespace({ name: namespaceOf(place) }, () =>
    execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

export function runHere(command: string): string {
  const [program = '', ...args] = command.split(' ');
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export function setSysctl(place: Place, name: string, value: string): void {
  run(place, `sysctl -qw ${name}=${value}`);
}

export interface WorldOptions {
  /** Servers have the VIPs on `lo` and keep quiet about it. */
  readonly directReturn: boolean;
  /** Servers send their replies through the holder. */
  readonly behindHolder?: boolean;
  /** Servers have the rules of those that answer clients directly. */
  readonly withRoleRules?: boolean;
  readonly vips: number;
}

/** The namespaces with addresses and servers, and this thread in the holder's one. */
export class World {
  private readonly listeners = new Map<Place, readonly Server[]>();
  private readonly sockets = new Set<Socket>();
  /** Of the servers. */
  private readonly served = new Map<Place, Set<Socket>>(places.map((place) => [place, new Set()]));
  private readonly options: WorldOptions;

  constructor(options: WorldOptions) {
    this.options = options;
    try {
      this.build();
    } catch (error) {
      this.removeNamespaces();
      throw error;
    }
  }

  private build(): void {
    for (const place of ['switch', ...places] as const) runHere(`ip netns add ${namespaceOf(place)}`);
    run('switch', 'ip link add br0 type bridge mcast_snooping 0 forward_delay 0');
    run('switch', 'ip link set br0 up');
    for (const place of places) this.connect(place);
    enterNamespace({ name: namespaceOf('holder') });
    for (let n = 0; n < this.options.vips; n++) {
      for (const family of [4, 6] as const) {
        const host = family === 4 ? '32' : '128';
        const quiet = 'nodad preferred_lft 0';
        run('holder', `ip addr add ${vipOf(n, family)}/${host} dev ${LINK} ${quiet}`);
        if (!this.options.directReturn) continue;
        for (const server of servers)
          run(`server${server}`, `ip addr add ${vipOf(n, family)}/${host} dev lo ${quiet}`);
      }
    }
    for (const server of servers) {
      if (this.options.withRoleRules === true) this.addRoleRules(`server${server}`);
      this.serve(`server${server}`);
      if (this.options.behindHolder === true) this.routeThroughHolder(`server${server}`);
    }
    // The holder's own API server, which must not answer in the place of others.
    this.serve('holder');
  }

  private addRoleRules(place: Place): void {
    const tables = ([4, 6] as const).flatMap((family) => {
      const vips = Array.from({ length: this.options.vips }, (_, n) => vipOf(n, family));
      return roleTable(family === 4 ? 'ip' : 'ip6', 'kube-vip-role', vips) ?? [];
    });
    inNamespace({ name: namespaceOf(place) }, () => {
      const kernel = openKernel({ clock: systemClock() });
      const nftables = openNftables(kernel.poller);
      nftables.commit(planTables(tables, []));
      nftables.close();
      kernel.close();
    });
  }

  /** What IPVS needs where nobody translates the source: replies pass the holder, although they need not. */
  private routeThroughHolder(place: Place): void {
    setSysctl('holder', 'net.ipv4.conf.all.send_redirects', '0');
    setSysctl('holder', `net.ipv4.conf.${LINK}.send_redirects`, '0');
    setSysctl(place, 'net.ipv6.conf.all.accept_redirects', '0');
    setSysctl(place, `net.ipv6.conf.${LINK}.accept_redirects`, '0');
    for (const family of [4, 6] as const) {
      const length = family === 4 ? 32 : 128;
      run(
        place,
        `ip -${family} route add ${addressOf('client', family)}/${length} via ${addressOf('holder', family)}`,
      );
    }
  }

  private connect(place: Place): void {
    const host = places.indexOf(place) + 1;
    run(
      'switch',
      `ip link add port${host} type veth peer name ${LINK} address 02:77:00:00:00:0${host} netns ${namespaceOf(place)}`,
    );
    run('switch', `ip link set port${host} master br0 up`);
    setSysctl(place, 'net.ipv6.conf.default.accept_dad', '0');
    setSysctl(place, 'net.ipv4.conf.all.rp_filter', '0');
    run(place, 'ip link set lo up');
    run(place, `ip link set ${LINK} up`);
    run(place, `ip addr add ${addressOf(place, 4)}/24 dev ${LINK}`);
    run(place, `ip addr add ${addressOf(place, 6)}/64 dev ${LINK} nodad`);
    if (this.options.directReturn && place.startsWith('server')) {
      setSysctl(place, 'net.ipv4.conf.all.arp_ignore', '1');
      setSysctl(place, 'net.ipv4.conf.all.arp_announce', '2');
    }
  }

  /** A server that says its name and then every line it hears. */
  serve(place: Place): void {
    const listeners = [6443, 443, 444].map((port) => {
      const fd = inNamespace({ name: namespaceOf(place) }, () => listeningSocket(port));
      const server = createServer((socket) => {
        const all = [this.sockets, this.served.get(place)];
        for (const set of all) set?.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          for (const set of all) set?.delete(socket);
        });
        socket.write(`${place}\n`);
        socket.pipe(socket);
      });
      server.listen({ fd });
      return server;
    });
    this.listeners.set(place, listeners);
  }

  /** As if its process was killed: nobody listens there any more, and its connections are reset. */
  async stopServer(place: Place): Promise<void> {
    const listeners = this.listeners.get(place) ?? [];
    this.listeners.delete(place);
    for (const listener of listeners) listener.close();
    for (const socket of this.served.get(place) ?? []) socket.resetAndDestroy();
    await until(`nobody listens on ${place}`, () => run(place, 'ss -Hltn').trim() === '');
  }

  connectFrom(from: Place, to: Ip, port: number, timeoutMs = 20_000): Promise<ClientConnection> {
    const fd = inNamespace({ name: namespaceOf(from) }, () => {
      const socket = sys.socket(
        { op: 'socket' },
        familyOf(to) === 4 ? sys.AF_INET : sys.AF_INET6,
        sys.SOCK_STREAM,
        0,
      );
      try {
        sys.connect({ op: 'connect' }, socket, socketAddress(to, port));
      } catch (error) {
        sys.close(socket);
        throw error;
      }
      return socket;
    });
    const socket = new Socket({ fd });
    this.sockets.add(socket);
    return greeted(socket, timeoutMs);
  }

  plug(server: 1 | 2 | 3, state: 'up' | 'down'): void {
    run('switch', `ip link set port${places.indexOf(`server${server}`) + 1} ${state}`);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    for (const listener of [...this.listeners.values()].flat()) listener.close();
    await sleep(10);
    this.removeNamespaces();
  }

  private removeNamespaces(): void {
    for (const place of ['switch', ...places] as const) {
      try {
        runHere(`ip netns del ${namespaceOf(place)}`);
      } catch {
        // It was not made.
      }
    }
  }
}

function greeted(socket: Socket, timeoutMs: number): Promise<ClientConnection> {
  let how = 'end';
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      how = error.code ?? error.message;
    });
    socket.on('close', () => resolve(how));
  });
  const lines = lineReader(socket);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('ETIMEDOUT'));
    }, timeoutMs);
    void lines.next().then((server) => {
      clearTimeout(timer);
      if (server === undefined) {
        void ended.then((code) => reject(new Error(code)));
        return;
      }
      resolve({
        server,
        echo: async () => {
          socket.write('hello\n');
          return (await lines.next()) === 'hello';
        },
        ended,
        close: () => socket.destroy(),
      });
    });
  });
}

/** Lines as they come; undefined after the end. */
function lineReader(socket: Socket): { next(): Promise<string | undefined> } {
  const ready: (string | undefined)[] = [];
  const waiting: ((line: string | undefined) => void)[] = [];
  const push = (line: string | undefined): void => {
    const next = waiting.shift();
    if (next === undefined) ready.push(line);
    else next(line);
  };
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) push(line);
  });
  socket.on('close', () => {
    for (let n = 0; n < 4; n++) push(undefined);
  });
  return {
    next: () =>
      ready.length > 0
        ? Promise.resolve(ready.shift())
        : new Promise((resolve) => void waiting.push(resolve)),
  };
}

const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** A listener on both families. */
function listeningSocket(port: number): number {
  const doing = { op: 'listen' };
  const fd = sys.socket(doing, sys.AF_INET6, sys.SOCK_STREAM, 0);
  sys.setSocketNumber(doing, fd, sys.SOL_SOCKET, SO_REUSEADDR, 1);
  sys.setSocketNumber(doing, fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  sys.bind(doing, fd, socketAddress(ip('::'), port));
  sys.listen(doing, fd, 1024);
  return fd;
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(address: Ip, port: number): Uint8Array {
  const bytes = ipToBytes(address);
  return familyOf(address) === 4
    ? new NlWriter().u16(sys.AF_INET).u16(port, false).bytes(bytes).zeros(8).done()
    : new NlWriter().u16(sys.AF_INET6).u16(port, false).u32(0).bytes(bytes).u32(0).done();
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await sleep(5);
  }
}
