import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Ip, Mac } from '../src/lib/ip.ts';
import type { Finished, RunOptions } from './exec.ts';
import { Cable } from './faults.ts';
import { IpSession } from './ip-session.ts';
import { ipBatch, processesIn, runIn, tryRunIn } from './netns.ts';
import type { Plan, Role, Seat } from './plan.ts';
import { identify, signal } from './proc.ts';
import { LabProcess } from './process.ts';
import type { StartOptions } from './process.ts';
import type { Registry } from './registry.ts';
import { addressLines } from './topology.ts';
import { waitFor } from './wait.ts';

interface InetAddress {
  readonly local?: string;
  readonly prefixlen?: number;
  readonly flags?: readonly string[];
  readonly tentative?: boolean;
  readonly [key: string]: unknown;
}

/** One machine of a lab: a namespace with `lo` and `eth0`, a folder, and the programs started in it. */
export class Machine {
  readonly name: string;
  readonly role: Role;
  readonly namespace: string;
  readonly ipv4: Ip;
  readonly ipv6: Ip;
  readonly mac: Mac;
  readonly cable: Cable;
  /** For logs, kubeconfigs and data. */
  readonly dir: string;
  readonly #plan: Plan;
  readonly #seat: Seat;
  readonly #registry: Registry;
  readonly #looks: IpSession;
  /** Wall-clock milliseconds of each time it was switched off, and on again. */
  readonly powerCuts: { readonly from: number; until: number | undefined }[] = [];

  constructor(plan: Plan, seat: Seat, registry: Registry) {
    ({ name: this.name, role: this.role, namespace: this.namespace } = seat);
    ({ ipv4: this.ipv4, ipv6: this.ipv6, mac: this.mac } = seat);
    this.#plan = plan;
    this.#seat = seat;
    this.#registry = registry;
    this.cable = new Cable(plan.switchNamespace, seat);
    this.dir = path.join(registry.dir, seat.name);
    mkdirSync(this.dir, { recursive: true });
    this.#looks = new IpSession(() => this.start('ip', IpSession.command, { pipe: true }));
  }

  /** Starts a long-running program here; its log is `NAME.log` in the machine's folder. */
  start(
    name: string,
    command: readonly string[],
    options: Partial<Omit<StartOptions, 'namespace' | 'command'>> = {},
  ): LabProcess {
    return LabProcess.start(this.#registry, `${this.name}/${name}`, {
      logFile: path.join(this.dir, `${name}.log`),
      ...options,
      namespace: this.namespace,
      command,
    });
  }

  /** Runs a program here to its end; a non-zero status is a CommandError. Returns the standard output. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<string> {
    return runIn(this.namespace, command, args, options);
  }

  tryRun(command: string, args: readonly string[], options?: RunOptions): Promise<Finished> {
    return tryRunIn(this.namespace, command, args, options);
  }

  /** `ip` commands, one per element, in one process. */
  ip(...lines: readonly string[]): Promise<void> {
    return ipBatch(this.namespace, lines);
  }

  /** What `ip -json addr` says about a link. */
  async addresses(link = 'eth0'): Promise<readonly InetAddress[]> {
    const text = await this.run('ip', ['-json', 'addr', 'show', 'dev', link]);
    const [first] = JSON.parse(text) as readonly { readonly addr_info?: readonly InetAddress[] }[];
    return first?.addr_info ?? [];
  }

  /** Does any link here carry this address? */
  async holds(address: string): Promise<boolean> {
    const question = ['addr', 'show', 'to', address];
    try {
      return (await this.#looks.ask(question.join(' '))).length > 0;
    } catch {
      // It died with its machine's power, in the middle of the question.
      const { stdout } = await this.tryRun('ip', ['-o', ...question]);
      return stdout.trim() !== '';
    }
  }

  async deleteAddress(address: string, link = 'eth0'): Promise<void> {
    await this.ip(`addr del ${address}/${address.includes(':') ? 128 : 32} dev ${link}`);
  }

  /** Everything on `eth0` goes, as when a network manager starts over; `restoreAddresses` puts the node's own back. */
  async flushAddresses(): Promise<void> {
    await this.ip('addr flush dev eth0');
  }

  async restoreAddresses(): Promise<void> {
    await this.ip(...addressLines(this.#plan, this.#seat));
  }

  async ping(address: string, count = 1): Promise<boolean> {
    const { code } = await this.tryRun('ping', [
      '-n',
      '-q',
      '-c',
      String(count),
      '-i',
      '0.05',
      '-W',
      '1',
      address,
    ]);
    return code === 0;
  }

  /** The plug is pulled: off the wire, then every process dies at once. Supervisors must have been told before. */
  async powerOff(): Promise<void> {
    this.powerCuts.push({ from: Date.now(), until: undefined });
    await this.cable.pull();
    await waitFor(() => this.#killAll(), { what: `all processes on ${this.name} to be dead`, everyMs: 10 });
  }

  /** True when none was left. */
  async #killAll(): Promise<boolean> {
    const pids = await processesIn(this.namespace);
    for (const pid of pids) {
      const id = identify(pid);
      if (id !== undefined) signal(id, 'SIGKILL');
    }
    return pids.length === 0;
  }

  /** The network comes back with the node's own addresses only; programs must be started by the caller. */
  async powerOn(): Promise<void> {
    await this.ip('link set eth0 down', 'addr flush dev eth0', 'link set eth0 up');
    await this.restoreAddresses();
    await this.cable.heal();
    const last = this.powerCuts.at(-1);
    if (last !== undefined) last.until = Date.now();
  }
}
