import { Machine } from './machine.ts';
import { planLab } from './plan.ts';
import type { Plan, Seat } from './plan.ts';
import { LabProcess } from './process.ts';
import type { StartOptions } from './process.ts';
import { Registry, sweep } from './registry.ts';
import { buildTopology, machinesOf, namespacesOf } from './topology.ts';

export interface LabOptions {
  /** Default 3. */
  readonly controlPlanes?: number;
  /** Default 0. */
  readonly workers?: number;
  /** A second client, behind the router; default false. */
  readonly remote?: boolean;
  /** 0-99, default 77: the machines are 10.N.0.x and fd00:N::x. */
  readonly subnet?: number;
  /** Keep the folder with the logs after `stop`; default: only when KUBE_VIP_LAB_KEEP is set. */
  readonly keepFiles?: boolean;
}

let labsMade = 0;

/** A running cluster of namespaces. Always `await lab.stop()` in a `finally`; a crash is cleaned up by the reaper. */
export class Lab {
  /** Unique on this machine; every namespace's name starts with it. */
  readonly id: string;
  /** Logs and files of everything that runs in the lab. */
  readonly dir: string;
  readonly plan: Plan;
  readonly router: Machine;
  readonly client: Machine;
  readonly api: Machine;
  readonly remote: Machine | undefined;
  readonly controlPlanes: readonly Machine[];
  readonly workers: readonly Machine[];
  readonly registry: Registry;
  readonly #keepFiles: boolean;
  readonly #stoppers: (() => Promise<unknown>)[] = [];

  private constructor(plan: Plan, registry: Registry, keepFiles: boolean) {
    const machine = (seat: Seat): Machine => new Machine(plan, seat, registry);
    this.id = registry.id;
    this.dir = registry.dir;
    this.plan = plan;
    this.registry = registry;
    this.#keepFiles = keepFiles;
    this.router = machine(plan.router);
    this.client = machine(plan.client);
    this.api = machine(plan.api);
    this.remote = plan.remote === undefined ? undefined : machine(plan.remote);
    this.controlPlanes = plan.controlPlanes.map(machine);
    this.workers = plan.workers.map(machine);
  }

  /** Sweeps what dead labs left, then builds a new one. Needs `ensurePrivilege()` first. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    await sweep();
    const id = `kv${process.pid}${(labsMade++).toString(36)}`;
    const plan = planLab({
      id,
      subnet: options.subnet ?? 77,
      controlPlanes: options.controlPlanes ?? 3,
      workers: options.workers ?? 0,
      remote: options.remote ?? false,
    });
    const registry = new Registry(id);
    const lab = new Lab(plan, registry, options.keepFiles ?? process.env['KUBE_VIP_LAB_KEEP'] !== undefined);
    try {
      registry.addNamespaces(namespacesOf(plan));
      await buildTopology(plan);
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** Control-plane nodes and workers. */
  get nodes(): readonly Machine[] {
    return [...this.controlPlanes, ...this.workers];
  }

  /** The n-th control-plane node, from 0. */
  node(index: number): Machine {
    const found = this.controlPlanes[index];
    if (found === undefined) throw new RangeError(`the lab has no control-plane node ${index}`);
    return found;
  }

  /** Every machine, in the order of their namespace ids. */
  get machines(): readonly Machine[] {
    const all = [
      this.router,
      this.client,
      this.api,
      ...this.nodes,
      ...(this.remote === undefined ? [] : [this.remote]),
    ];
    return machinesOf(this.plan).flatMap((seat) => all.filter((machine) => machine.name === seat.name));
  }

  /** Control-plane nodes that carry this address now, by name. */
  async holders(address: string): Promise<readonly string[]> {
    const held = await Promise.all(this.controlPlanes.map((node) => node.holds(address)));
    return this.controlPlanes.filter((_, i) => held[i] === true).map((node) => node.name);
  }

  /** Starts a program on the switch, whose namespace hears the address events of all machines. */
  startOnSwitch(
    name: string,
    command: readonly string[],
    options: Omit<StartOptions, 'namespace' | 'command'>,
  ): LabProcess {
    return LabProcess.start(this.registry, `switch/${name}`, {
      ...options,
      namespace: this.plan.switchNamespace,
      command,
    });
  }

  /** Called first in `stop`, last added first: supervisors must not restart what is being taken down. */
  onStop(stopper: () => Promise<unknown>): void {
    this.#stoppers.push(stopper);
  }

  /** Ends every process, removes every namespace and file. Safe to call twice. */
  async stop(): Promise<void> {
    for (const stopper of this.#stoppers.splice(0).reverse()) await stopper().catch(() => undefined);
    await this.registry.dispose(this.#keepFiles);
  }
}
