/**
 * Runs in the daemon, put there by `--import`: from one SIGUSR2 to the next it looks every two milliseconds how much
 * processor time the main thread has used since the last look, and then writes the most (ms) into a file. A look
 * that comes late because the machine was busy with others does not count.
 */
function watchTurns(file: string): void {
  const { writeFileSync } = process.getBuiltinModule('node:fs');
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

/** For NODE_OPTIONS of a daemon; the types of the function above are blanks by now. */
export function turnsOption(file: string): string {
  const source = `(${watchTurns.toString()})(${JSON.stringify(file)})`;
  return `--import=data:text/javascript,${encodeURIComponent(source)}`;
}
