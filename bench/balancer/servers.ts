import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { requireComponent, waitFor, type LabProcess, type Machine } from '../../lab/index.ts';
import { first } from './priority.ts';

export interface BackEnd {
  readonly address: string;
  readonly port: number;
}

/** One nginx with one worker, which answers every request on every port with two bytes. */
export async function startNginx(machine: Machine, ports: readonly number[]): Promise<void> {
  const home = path.join(machine.dir, 'nginx');
  mkdirSync(path.join(home, 'logs'), { recursive: true });
  const file = path.join(home, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    file,
    `daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4096; multi_accept on; }
http {
  access_log off;
  keepalive_requests 1000000000;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
  server {
    ${ports.map((port) => `listen ${port} backlog=4096;`).join(' ')}
    location / { return 200 "ok"; }
  }
}
`,
  );
  const nginx = machine.start('nginx', first(requireComponent('nginx'), '-p', home, '-c', file));
  await listening(machine, nginx, ports);
}

/** iperf3 serves one client at a time: one for each path. */
export async function startIperf(machine: Machine, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = machine.start(
      `iperf3-${port}`,
      first(requireComponent('iperf3'), '-s', '-p', String(port)),
    );
    await listening(machine, server, [port]);
  }
}

/** haproxy in TCP mode, one thread, by turns. */
export async function startHaproxy(
  machine: Machine,
  vip: string,
  ports: readonly { readonly port: number; readonly servers: readonly string[] }[],
): Promise<void> {
  const file = path.join(machine.dir, 'haproxy.cfg');
  const parts = ports.map(
    ({ port, servers }) => `listen p${port}
  bind ${vip}:${port}
  balance roundrobin
  ${servers.map((address, n) => `server s${n} ${address}:${port}`).join('\n  ')}
`,
  );
  writeFileSync(
    file,
    `global
  maxconn 4096
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${parts.join('')}`,
  );
  const haproxy = machine.start('haproxy', first(requireComponent('haproxy'), '-db', '-f', file));
  await listening(
    machine,
    haproxy,
    ports.map(({ port }) => port),
  );
}

async function listening(machine: Machine, server: LabProcess, ports: readonly number[]): Promise<void> {
  await waitFor(
    async () => {
      const text = await machine.run('ss', ['-Hltn']);
      return ports.every((port) => text.includes(`:${port} `));
    },
    {
      what: `${server.name} to listen`,
      detail: () => server.tail(),
      hopeless: () => (server.alive ? undefined : `${server.name} ended`),
    },
  );
}
