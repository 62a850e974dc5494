import type { Machine } from './machine.ts';

/** GET over a new connection, from inside a machine; undefined while nothing answers there. */
export async function httpGet(
  from: Machine,
  host: string,
  port: number,
  urlPath: string,
  timeoutMs = 20_000,
): Promise<{ readonly status: number; readonly body: string } | undefined> {
  const script =
    'exec 3<>"/dev/tcp/$1/$2" && printf \'GET %s HTTP/1.0\\r\\nHost: lab\\r\\n\\r\\n\' "$3" >&3 && cat <&3';
  // Its standard input is a socket: like a remote shell's, bash thinks, and would read ~/.bashrc.
  const command = ['--norc', '-c', script, 'bash', host, String(port), urlPath];
  const { code, stdout } = await from.tryRun('bash', command, { timeoutMs });
  const [, status = ''] = /^HTTP\/1\.[01] (\d+)/.exec(stdout) ?? [];
  if (code !== 0 || status === '') return undefined;
  return { status: Number(status), body: stdout.slice(stdout.indexOf('\r\n\r\n') + 4) };
}
