import { run, tryRun } from './exec.ts';
import type { Finished, RunOptions } from './exec.ts';

/** Where `ip netns` keeps the names. */
export function namespacePath(namespace: string): string {
  return `/run/netns/${namespace}`;
}

/** Runs `ip` commands, one per line, inside a namespace (or here) in one process; stops at the first that fails. */
export async function ipBatch(namespace: string | undefined, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const where = namespace === undefined ? [] : ['-n', namespace];
  await run('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export async function addNamespaces(names: readonly string[]): Promise<void> {
  await ipBatch(
    undefined,
    names.map((name) => `netns add ${name}`),
  );
}

/** Removes namespaces; those that are already gone are not an error. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await tryRun('ip', ['-force', '-batch', '-'], {
    input: `${names.map((name) => `netns del ${name}`).join('\n')}\n`,
  });
}

export async function listNamespaces(): Promise<readonly string[]> {
  const { stdout } = await tryRun('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name !== '');
}

/** Processes that live in a namespace, however they got there. */
export async function processesIn(namespace: string): Promise<readonly number[]> {
  const { stdout } = await tryRun('ip', ['netns', 'pids', namespace]);
  return stdout.split(/\s+/).filter(Boolean).map(Number);
}

/** The arguments that start a command inside a namespace; `nsenter` execs it, so the pid is the command's own. */
export function inNamespace(namespace: string, command: readonly string[]): readonly string[] {
  return ['nsenter', `--net=${namespacePath(namespace)}`, '--', ...command];
}

export function tryRunIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const [program = '', ...rest] = inNamespace(namespace, [command, ...args]);
  return tryRun(program, rest, options);
}

export function runIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const [program = '', ...rest] = inNamespace(namespace, [command, ...args]);
  return run(program, rest, options);
}

/** Writes settings below /proc/sys/net as that namespace sees it, in one process. Keys as in `sysctl`. */
export async function setSysctls(
  namespace: string,
  values: Readonly<Record<string, number | string>>,
): Promise<void> {
  const lines = Object.entries(values).map(
    ([key, value]) => `/proc/sys/${key.replaceAll('.', '/')} ${value}`,
  );
  await runIn(
    namespace,
    'sh',
    ['-c', 'while read -r file value; do echo "$value" > "$file" || exit 1; done'],
    {
      input: `${lines.join('\n')}\n`,
    },
  );
}
