import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import type { Lab, LabProcess } from '../../lab/index.ts';
import { parseMonitor } from '../../lab/holders.ts';
import { promptly } from '../../lab/prober/prober.ts';
import { nsidOf } from '../../lab/topology.ts';

/** Two nodes had the same VIP, neither of them excused. Wall-clock milliseconds. */
export interface Overlap {
  readonly vip: string;
  readonly nodes: readonly string[];
  readonly from: number;
  readonly to: number;
}

/** Differences below are between the monitor's own clock readings. */
const NOISE_MS = 5;

/**
 * Hears the kernel's address events of all nodes, in order, for as long as the soak lasts. A node is excused while its
 * process is stopped or dead, or its power is off: then its kernel goes on answering, and nobody can do anything about it.
 */
export class OverlapWatch {
  readonly overlaps: Overlap[] = [];
  readonly #monitor: LabProcess;
  readonly #nodes: ReadonlyMap<number, string>;
  readonly #isVip: (address: string) => boolean;
  readonly #holders = new Map<string, Set<string>>();
  readonly #since = new Map<string, { readonly from: number; readonly nodes: readonly string[] }>();
  readonly #excuses: { readonly node: string; readonly from: number; to: number }[] = [];
  #read = 0;
  #rest = '';
  /** Changes of VIPs: none at all would mean that it is deaf. */
  heard = 0;
  /** Longest time of one with an excuse. */
  longestExcusedMs = 0;

  constructor(lab: Lab, isVip: (address: string) => boolean) {
    this.#isVip = isVip;
    this.#nodes = new Map(lab.machines.map((machine, index) => [nsidOf(index), machine.name]));
    this.#monitor = lab.startOnSwitch(
      'overlaps',
      [...promptly, 'ip', '-ts', 'monitor', 'address', 'all-nsid'],
      { env: { TZ: 'UTC' }, logFile: path.join(lab.dir, 'overlaps.log') },
    );
  }

  /** From now on, until the function that is returned is called. */
  excuse(node: string): () => void {
    const excuse = { node, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.#excuses.push(excuse);
    return () => {
      excuse.to = Date.now();
    };
  }

  /** Takes in what was heard since the last call. */
  look(): void {
    const lines = (this.#rest + this.#news()).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const { at, node, address, present } of parseMonitor(lines.join('\n'), this.#nodes)) {
      if (!this.#isVip(address)) continue;
      this.heard++;
      const holders = this.#holders.get(address) ?? new Set<string>();
      this.#holders.set(address, holders);
      if (present) holders.add(node);
      else holders.delete(node);
      this.#note(address, at, holders);
    }
  }

  #note(vip: string, at: number, holders: ReadonlySet<string>): void {
    const before = this.#since.get(vip);
    if (before !== undefined) {
      this.#since.delete(vip);
      this.#judge({ vip, nodes: before.nodes, from: before.from, to: at });
    }
    if (holders.size > 1) this.#since.set(vip, { from: at, nodes: [...holders] });
  }

  #judge(overlap: Overlap): void {
    const length = overlap.to - overlap.from;
    if (length <= NOISE_MS) return;
    const excused = (node: string): boolean =>
      this.#excuses.some((each) => each.node === node && each.from <= overlap.to && each.to >= overlap.from);
    if (overlap.nodes.filter((node) => !excused(node)).length > 1) this.overlaps.push(overlap);
    else this.longestExcusedMs = Math.max(this.longestExcusedMs, length);
  }

  #news(): string {
    const file = openSync(this.#monitor.logFile, 'r');
    try {
      const buffer = Buffer.alloc(fstatSync(file).size - this.#read);
      const got = readSync(file, buffer, 0, buffer.length, this.#read);
      this.#read += got;
      return buffer.toString('utf8', 0, got);
    } finally {
      closeSync(file);
    }
  }
}
