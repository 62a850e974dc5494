import type { LabProcess, Machine } from '../../lab/index.ts';
import { waitFor } from '../../lab/index.ts';

/** Put on `lo` and taken off again until the monitor tells of it. */
const probe = '192.0.2.254';

/** When each address came to a node, and how many left, as the kernel's own monitor saw it; routes stand in for some (ADR 11). */
export class AddressMonitor {
  /** Wall-clock milliseconds. */
  readonly addedAt = new Map<string, number>();
  /** The same, or its local route. */
  readonly reachableAt = new Map<string, number>();
  gone = 0;
  readonly #process: LabProcess;
  #rest = '';
  #at = 0;

  private constructor(process: LabProcess) {
    this.#process = process;
    process.child.stdout?.on('data', (chunk: Buffer) => {
      this.#read(chunk.toString());
    });
  }

  static async start(node: Machine): Promise<AddressMonitor> {
    // The default receive queue loses events when thousands of addresses come at once.
    const options = ['-rcvbuf', String(64 << 20), '-ts', '-o', '-4'];
    const process = node.start('address-monitor', ['ip', ...options, 'monitor', 'address', 'route'], {
      pipe: true,
      env: { TZ: 'UTC' },
    });
    const monitor = new AddressMonitor(process);
    // It has no sign of being ready but what it prints.
    await waitFor(
      async () => {
        await node.ip(`addr add ${probe}/32 dev lo`, `addr del ${probe}/32 dev lo`);
        return monitor.addedAt.has(probe);
      },
      { what: 'the address monitor', everyMs: 50 },
    );
    monitor.reset();
    return monitor;
  }

  reset(): void {
    this.addedAt.clear();
    this.reachableAt.clear();
    this.gone = 0;
  }

  kill(): void {
    void this.#process.kill();
  }

  #note(times: Map<string, number>, address: string): void {
    if (!times.has(address)) times.set(address, this.#at);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, stamp] = /^\[([0-9T:.-]+)\]/.exec(line) ?? [];
      if (stamp !== undefined) this.#at = Date.parse(`${stamp}Z`);
      const isDeleted = line.includes('Deleted');
      const [, route] = /\blocal (\d+\.\d+\.\d+\.\d+) /.exec(line) ?? [];
      if (route !== undefined && !isDeleted) this.#note(this.reachableAt, route);
      const [, address] = / inet (\d+\.\d+\.\d+\.\d+)/.exec(line) ?? [];
      if (address === undefined) continue;
      // That the last probe went may be told after its coming was.
      if (isDeleted) this.gone += address === probe ? 0 : 1;
      else for (const times of [this.addedAt, this.reachableAt]) this.#note(times, address);
    }
  }
}
