import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process that can be recognised later: pids are used again, a pid with its start time is not. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks after boot. */
  readonly start: number;
}

/** From the third field on, of a process (its number) or a thread (`PID/task/TID`); undefined when it is gone. */
function statFields(of: number | string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${of}/stat`, 'utf8');
    // The command name (field 2) is in parentheses and may hold anything: count from the last one.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    // Anything else, too many open files say, tells nothing about the process.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Which processes this one can see: the same pid is another process in another namespace. */
export function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

/** The identity of a live process; undefined when there is none with this pid. */
export function identify(pid: number): ProcessId | undefined {
  const start = statFields(pid)?.[19];
  return start === undefined ? undefined : { pid, start: Number(start) };
}

/** True while that very process runs; a zombie is gone. */
export function isAlive(id: ProcessId): boolean {
  const fields = statFields(id.pid);
  return fields?.[19] === String(id.start) && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** True while it waits for something, or is gone; false while it runs or could. */
export function isAsleep(id: ProcessId): boolean {
  return !isAlive(id) || statFields(id.pid)?.[0] === 'S';
}

/** Signals that very process (or its group, when it leads one); false when it is gone or not ours. */
export function signal(id: ProcessId, name: NodeJS.Signals, group = false): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(group ? -id.pid : id.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Whether this machine lets a process of ours go before others: not every container or user namespace does. */
export function mayGoFirst(): boolean {
  return spawnSync('chrt', ['--fifo', '10', 'true']).status === 0;
}

/** Numbers of those threads of a process whose policy (field 41 of /proc/PID/stat) is not SCHED_OTHER. */
export function realTimeThreads(pid: number): readonly number[] {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  return threads.filter((thread) => (statFields(`${pid}/task/${thread}`)?.[38] ?? '0') !== '0');
}
