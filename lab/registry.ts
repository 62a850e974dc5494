import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { deleteNamespaces, processesIn } from './netns.ts';
import { identify, isAlive, pidNamespace, signal } from './proc.ts';
import type { ProcessId } from './proc.ts';
import { waitFor } from './wait.ts';

/** What a lab owns, written down before it is made, so that another process can take it away. */
interface Record {
  readonly owner: ProcessId;
  readonly pidNamespace: string;
  readonly namespaces: readonly string[];
  readonly processes: readonly ProcessId[];
}

/** Folder of all labs of this machine. */
export function labsFolder(): string {
  return path.join(os.tmpdir(), 'kube-vip-lab');
}

const recordFile = 'lab.json';

function readRecord(dir: string): Record | undefined {
  try {
    return JSON.parse(readFileSync(path.join(dir, recordFile), 'utf8')) as Record;
  } catch {
    return undefined;
  }
}

/** The written-down possessions of one running lab. */
export class Registry {
  readonly id: string;
  readonly dir: string;
  readonly #owner: ProcessId;
  readonly #namespaces = new Set<string>();
  readonly #processes = new Map<number, ProcessId>();
  #reaper: ProcessId | undefined;

  constructor(id: string) {
    const owner = identify(process.pid);
    if (owner === undefined) throw new Error('/proc is not readable: a lab cannot run here');
    this.id = id;
    this.#owner = owner;
    mkdirSync(labsFolder(), { recursive: true });
    try {
      chmodSync(labsFolder(), 0o1777);
    } catch {
      // Another user made it, with the same mode.
    }
    this.dir = path.join(labsFolder(), id);
    mkdirSync(this.dir);
    this.#write();
    this.#startReaper();
  }

  addNamespaces(names: readonly string[]): void {
    for (const name of names) this.#namespaces.add(name);
    this.#write();
  }

  addProcess(id: ProcessId): void {
    for (const known of this.#processes.values()) if (!isAlive(known)) this.#processes.delete(known.pid);
    this.#processes.set(id.pid, id);
    this.#write();
  }

  /** Ends everything and removes every trace. Safe to call twice. */
  async dispose(keepFiles = false): Promise<void> {
    await destroy(this.dir, this.#record(), keepFiles);
    if (this.#reaper !== undefined) signal(this.#reaper, 'SIGKILL');
  }

  #record(): Record {
    return {
      owner: this.#owner,
      pidNamespace: pidNamespace(),
      namespaces: [...this.#namespaces],
      processes: [...this.#processes.values()],
    };
  }

  #write(): void {
    const file = path.join(this.dir, recordFile);
    writeFileSync(`${file}.tmp`, JSON.stringify(this.#record()));
    renameSync(`${file}.tmp`, file);
  }

  /** A shell that waits for its standard input to close, which happens however this process ends, then cleans up. */
  #startReaper(): void {
    const script = fileURLToPath(new URL('reap.ts', import.meta.url));
    const child = spawn('sh', ['-c', 'read -r _; exec "$@"', 'sh', process.execPath, script, this.dir], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.unref();
    // The handle of the pipe must not keep the owner alive either; its type hides that it is a socket.
    (child.stdin as unknown as { unref(): void }).unref();
    child.stdin.on('error', () => undefined);
    if (child.pid !== undefined) this.#reaper = identify(child.pid);
  }
}

/** Kills a lab's processes, removes its namespaces and, unless they are to be kept, its files. */
async function destroy(dir: string, record: Record, keepFiles = false): Promise<void> {
  for (const id of record.processes) {
    if (!signal(id, 'SIGKILL', true)) signal(id, 'SIGKILL');
  }
  for (const namespace of record.namespaces) {
    for (const pid of await processesIn(namespace)) {
      const id = identify(pid);
      if (id !== undefined && pid !== process.pid) signal(id, 'SIGKILL');
    }
  }
  await waitFor(() => !record.processes.some(isAlive), { what: 'processes of a lab to end' }).catch(
    () => undefined,
  );
  await deleteNamespaces(record.namespaces);
  if (!keepFiles) rmSync(dir, { recursive: true, force: true });
}

/** Removes what one dead owner left; false when the owner still runs or the folder is no lab. */
export async function reap(dir: string): Promise<boolean> {
  const record = readRecord(dir);
  // Folders may be shared with a namespace whose processes cannot be seen from here.
  if (record?.pidNamespace !== pidNamespace() || isAlive(record.owner)) return false;
  await destroy(dir, record);
  return true;
}

/** Removes what all dead owners left. Returns the ids of the labs that were removed. */
export async function sweep(): Promise<readonly string[]> {
  let ids: readonly string[] = [];
  try {
    ids = readdirSync(labsFolder());
  } catch {
    return [];
  }
  const removed: string[] = [];
  for (const id of ids) {
    try {
      if (await reap(path.join(labsFolder(), id))) removed.push(id);
    } catch {
      // Another user's lab: not ours to remove.
    }
  }
  return removed;
}
