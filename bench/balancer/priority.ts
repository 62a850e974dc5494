let isRealTime = false;

/** From now on programs run before everything else (SCHED_RR): other work of this machine gets next to nothing meanwhile. */
export function useRealTime(): void {
  isRealTime = true;
}

/**
 * A command that goes before other work of this machine, which would be measured otherwise. Priorities
 * count within a session only, where sessions are scheduled as groups (sched(7), autogroup): so the
 * command gets a session of its own and the group the priority.
 */
export function first(...command: readonly string[]): readonly string[] {
  if (isRealTime) return ['setsid', '--wait', 'chrt', '--rr', '1', ...command];
  const raise = 'echo -15 2>/dev/null >/proc/self/autogroup; exec nice -n -15 "$@"';
  return ['setsid', '--wait', 'sh', '-c', raise, 'sh', ...command];
}
