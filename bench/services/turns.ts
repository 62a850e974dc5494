import { existsSync, readFileSync } from 'node:fs';

/**
 * Runs in the daemon, put there by `--import`. It notes what each collection costs that the program asks V8 for. And
 * from one SIGUSR2 to the next it looks every two milliseconds how much processor time the main thread has used since
 * the last look, and then writes the most (ms) into a file. A look that comes late because the machine was busy with
 * others does not count.
 */
function watchTurns(file: string): void {
  const { appendFileSync, writeFileSync } = process.getBuiltinModule('node:fs');
  const { gc } = globalThis;
  const measured = (...args: Parameters<NodeJS.GCFunction>): unknown => {
    const before = process.cpuUsage();
    const result: unknown = gc?.(...args);
    const { user, system } = process.cpuUsage(before);
    appendFileSync(`${file}-gc`, `${Date.now()} ${(user + system) / 1000}\n`);
    return result;
  };
  if (gc !== undefined) Object.assign(globalThis, { gc: measured });
  let timer: NodeJS.Timeout | undefined;
  let longest = 0;
  let last = process.threadCpuUsage();
  let lastAt = performance.now();
  const look = (): void => {
    const used = process.threadCpuUsage(last);
    const [spent, passed] = [(used.user + used.system) / 1000, performance.now() - lastAt];
    longest = Math.max(longest, Math.min(spent, passed));
    last = process.threadCpuUsage();
    lastAt = performance.now();
  };
  process.on('SIGUSR2', () => {
    if (timer === undefined) {
      [longest, last, lastAt] = [0, process.threadCpuUsage(), performance.now()];
      timer = setInterval(look, 2);
      return;
    }
    look();
    clearInterval(timer);
    timer = undefined;
    writeFileSync(file, String(longest));
  });
}

/** Processor time (ms, all threads) of each collection that the program has asked for since then (wall-clock ms). */
export function collectionsSince(file: string, since: number): readonly number[] {
  const log = `${file}-gc`;
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  return lines.flatMap((line) => {
    const [at = 0, ms = 0] = line.split(' ').map(Number);
    return at >= since ? [ms] : [];
  });
}

/** For NODE_OPTIONS of a daemon; the types of the function above are blanks by now. */
export function turnsOption(file: string): string {
  const source = `(${watchTurns.toString()})(${JSON.stringify(file)})`;
  return `--import=data:text/javascript,${encodeURIComponent(source)}`;
}
