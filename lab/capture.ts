import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findComponent, requireComponent } from './components.ts';
import type { Machine } from './machine.ts';
import { readPcap } from './pcap.ts';
import type { Frame } from './pcap.ts';
import { promptly } from './prober/prober.ts';
import { isAsleep } from './proc.ts';
import type { LabProcess } from './process.ts';
import { waitFor } from './wait.ts';

let capturesStarted = 0;

/** Why nothing can be captured here; undefined when it can. */
export function captureRefusal(): string | undefined {
  const tcpdump = findComponent('tcpdump');
  if ('missing' in tcpdump) return `tcpdump: ${tcpdump.because}`;
  // As uid 0 it insists on changing its groups, which an unprivileged user namespace forbids (user_namespaces(7)).
  const mayChange = readFileSync('/proc/self/setgroups', 'utf8').trim() === 'allow';
  return mayChange ? undefined : 'tcpdump does not run in an unprivileged user namespace; run as root';
}

/** Frames as tcpdump sees them on a machine's link. */
export class Capture {
  readonly file: string;
  readonly #process: LabProcess;

  private constructor(file: string, process: LabProcess) {
    this.file = file;
    this.#process = process;
  }

  /** Listening when this resolves. `filter` is tcpdump's, e.g. "arp or icmp6". */
  static async start(machine: Machine, filter: string, link = 'eth0'): Promise<Capture> {
    const name = `capture${++capturesStarted}`;
    const file = path.join(machine.dir, `${name}.pcap`);
    const options = ['-i', link, '-n', '-U', '--immediate-mode', '-s', '512', '--time-stamp-precision=nano'];
    // Without -Z a root's tcpdump becomes another user, who may not write here.
    const process = machine.start(name, [
      ...promptly,
      requireComponent('tcpdump'),
      ...options,
      '-Z',
      'root',
      '-w',
      file,
      filter,
    ]);
    await process.waitForLog(/listening on/);
    return new Capture(file, process);
  }

  /** What was captured so far. */
  frames(): readonly Frame[] {
    return readPcap(readFileSync(this.file));
  }

  async stop(): Promise<readonly Frame[]> {
    // What is on its way through the kernel's ring still counts: it wakes tcpdump, which sleeps again when it is written.
    await sleep(50);
    await waitFor(() => isAsleep(this.#process.id), { what: 'tcpdump to have read everything' });
    await this.#process.stop();
    return this.frames();
  }
}
