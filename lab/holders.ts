import path from 'node:path';
import type { Lab } from './lab.ts';
import type { LabProcess } from './process.ts';
import type { Interval } from './prober/gaps.ts';
import { promptly } from './prober/prober.ts';
import { nsidOf } from './topology.ts';
import { waitFor } from './wait.ts';

/** An address appeared on a node, or went. Wall-clock milliseconds with fractions. */
export interface AddressEvent {
  readonly at: number;
  readonly node: string;
  readonly address: string;
  readonly present: boolean;
}

/** A stretch of time with an unchanged set of holders. */
export interface HolderSegment extends Interval {
  readonly holders: readonly string[];
}

export interface HolderReport {
  readonly segments: readonly HolderSegment[];
  /** Sum and longest stretch of time with more than one holder. */
  readonly twoHoldersMs: number;
  readonly longestTwoHoldersMs: number;
  readonly noHolderMs: number;
  readonly longestNoHolderMs: number;
  readonly events: readonly AddressEvent[];
}

const eventLine = /^\[([\dT:.-]+)\] \[nsid (\d+)\](Deleted )?\d+: \S+\s+inet6? (\S+)\/\d+ (.*)$/;

/** Reads the output of `ip -ts monitor address all-nsid`, run with TZ=UTC. A tentative IPv6 address is not held yet. */
export function parseMonitor(text: string, nodes: ReadonlyMap<number, string>): readonly AddressEvent[] {
  return text.split('\n').flatMap((line) => {
    const [, time = '', nsid = '', deleted, address = '', rest = ''] = eventLine.exec(line) ?? [];
    const node = nodes.get(Number(nsid));
    if (node === undefined || nsid === '') return [];
    const [seconds = '', fraction = '0'] = time.split('.');
    const at = Date.parse(`${seconds}Z`) + Number(`0.${fraction}`) * 1000;
    const present = deleted === undefined && !/\b(tentative|dadfailed)\b/.test(rest);
    return [{ at, node, address, present }];
  });
}

/**
 * Who held the address when. A node without power holds nothing: its namespace may still carry the address, but
 * nobody can reach it.
 */
export function holderReport(
  events: readonly AddressEvent[],
  window: Interval,
  powerCuts: ReadonlyMap<string, readonly Interval[]>,
): HolderReport {
  const holds = new Map<string, boolean>();
  const dark = new Set<string>();
  const changes: { readonly at: number; readonly apply: () => void }[] = events.map((event) => ({
    at: event.at,
    apply: () => holds.set(event.node, event.present),
  }));
  for (const [node, cuts] of powerCuts) {
    for (const cut of cuts) {
      changes.push(
        { at: cut.from, apply: () => dark.add(node) },
        { at: cut.to, apply: () => dark.delete(node) },
      );
    }
  }
  // A stable sort: what the kernel reported in one order stays in it.
  changes.sort((a, b) => a.at - b.at);
  const segments: { from: number; to: number; holders: readonly string[] }[] = [];
  const holdersNow = (): readonly string[] =>
    [...holds].flatMap(([node, present]) => (present && !dark.has(node) ? [node] : [])).sort();
  const note = (at: number): void => {
    const holders = holdersNow();
    const last = segments.at(-1);
    if (last !== undefined && last.holders.join() === holders.join()) return;
    if (last !== undefined) last.to = at;
    segments.push({ from: at, to: window.to, holders });
  };
  for (const change of changes.filter((each) => each.at <= window.from)) change.apply();
  note(window.from);
  for (const change of changes.filter((each) => each.at > window.from && each.at <= window.to)) {
    change.apply();
    note(change.at);
  }
  const lengths = (wanted: (holders: number) => boolean): readonly number[] =>
    segments.filter((segment) => wanted(segment.holders.length)).map((segment) => segment.to - segment.from);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const [two, none] = [lengths((n) => n > 1), lengths((n) => n === 0)];
  return {
    segments: segments.filter((segment) => segment.to > segment.from),
    twoHoldersMs: sum(two),
    longestTwoHoldersMs: Math.max(0, ...two),
    noHolderMs: sum(none),
    longestNoHolderMs: Math.max(0, ...none),
    events,
  };
}

let watchesStarted = 0;
let flushes = 0;

/** Changes something harmless until the monitor, which hears everything in order, has written it. */
async function flush(lab: Lab, monitor: LabProcess): Promise<void> {
  const count = flushes++;
  const sentinel = `198.18.${(count >> 8) & 255}.${count & 255}/32`;
  await waitFor(
    async () => {
      await lab.client.ip(`addr replace ${sentinel} dev lo`, `addr del ${sentinel} dev lo`);
      return monitor.log().includes(sentinel);
    },
    { what: 'ip monitor to listen', everyMs: 5, detail: () => monitor.tail() },
  );
}

/**
 * Listens to the kernel's own address events of all nodes through one socket, so that their order is the kernel's
 * and no clocks have to be compared. Independent of the program under test.
 */
export class HolderWatch {
  readonly #lab: Lab;
  readonly #monitor: LabProcess;
  readonly #startedAt: number;
  readonly #initial: readonly AddressEvent[];
  readonly #address: string;

  private constructor(lab: Lab, address: string, monitor: LabProcess, initial: readonly AddressEvent[]) {
    this.#lab = lab;
    this.#address = address;
    this.#monitor = monitor;
    this.#initial = initial;
    this.#startedAt = Date.now();
  }

  static async start(lab: Lab, address: string): Promise<HolderWatch> {
    const name = `holders${++watchesStarted}`;
    // The times in its lines are its own: it must run when something happens, however busy the machine is.
    const monitor = lab.startOnSwitch(name, [...promptly, 'ip', '-ts', 'monitor', 'address', 'all-nsid'], {
      env: { TZ: 'UTC' },
      logFile: path.join(lab.dir, `${name}.log`),
    });
    try {
      await flush(lab, monitor);
      const holders = await lab.holders(address);
      const initial = holders.map((node) => ({ at: 0, node, address, present: true }));
      return new HolderWatch(lab, address, monitor, initial);
    } catch (error) {
      await monitor.kill();
      throw error;
    }
  }

  /** Until everything that happened before this call is in the report. */
  flush(): Promise<void> {
    return flush(this.#lab, this.#monitor);
  }

  /** What was heard so far; the watch goes on. After a change of one's own, `flush` first. */
  report(window?: Partial<Interval>): HolderReport {
    const nodes = new Map(this.#lab.machines.map((machine, index) => [nsidOf(index), machine.name]));
    // Date.now() cuts off the fraction that the monitor's times have: what just happened must be inside.
    const to = window?.to ?? Date.now() + 1;
    const events = parseMonitor(this.#monitor.log(), nodes).filter(
      (event) => event.address === this.#address,
    );
    const powerCuts = new Map(
      this.#lab.machines.map((machine) => [
        machine.name,
        machine.powerCuts.map((cut) => ({ from: cut.from, to: cut.until ?? Number.POSITIVE_INFINITY })),
      ]),
    );
    return holderReport(
      [...this.#initial, ...events],
      { from: window?.from ?? this.#startedAt, to },
      powerCuts,
    );
  }

  async stop(): Promise<HolderReport> {
    await this.flush();
    const report = this.report();
    await this.kill();
    return report;
  }

  /** Without a report; harmless after `stop`. */
  async kill(): Promise<void> {
    if (this.#monitor.alive) await this.#monitor.kill();
  }
}
