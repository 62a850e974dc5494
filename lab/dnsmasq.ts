import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { requireComponent } from './components.ts';
import type { Machine } from './machine.ts';
import type { LabProcess } from './process.ts';

/** Addresses of each name. */
export type Hosts = Readonly<Record<string, readonly string[]>>;

/** dnsmasq on a machine: the name server of the domain `example`, and a DHCP server where options say so. */
export class Dnsmasq {
  readonly machine: Machine;
  readonly process: LabProcess;
  readonly #hosts: string;

  private constructor(machine: Machine, hosts: Hosts, options: readonly string[]) {
    this.machine = machine;
    this.#hosts = path.join(machine.dir, 'dnsmasq.hosts');
    this.#write(hosts);
    const [where, who] = ['--interface=eth0', '--user=root'];
    this.process = machine.start('dnsmasq', [
      requireComponent('dnsmasq'),
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--pid-file=', '--log-facility=-', where, who],
      ...['--no-resolv', '--no-hosts', `--addn-hosts=${this.#hosts}`, '--local=/example/', '--local-ttl=1'],
      ...options,
    ]);
  }

  static async start(machine: Machine, hosts: Hosts, options: readonly string[] = []): Promise<Dnsmasq> {
    const server = new Dnsmasq(machine, hosts, options);
    await server.process.waitForLog(/read \S+dnsmasq\.hosts/);
    return server;
  }

  /** What it answers from now on. */
  setHosts(hosts: Hosts): void {
    this.#write(hosts);
    this.process.signal('SIGHUP');
  }

  #write(hosts: Hosts): void {
    const lines = Object.entries(hosts).flatMap(([name, all]) =>
      all.map((address) => `${address} ${name}\n`),
    );
    writeFileSync(this.#hosts, lines.join(''));
  }
}
