import { run, type Io } from '../../../src/cli/index.ts';
import type { LoadedConfig } from '../../../src/config/index.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** VIPs of refused settings, which the daemon was told to leave nothing of. */
  readonly cleared: readonly string[];
  /** What the daemon or the address controller was started with, if it was. */
  readonly started: LoadedConfig | undefined;
  /** The flags of the address controller. */
  readonly controller: Parameters<Io['runCloudController']>[1] | undefined;
}

/** One command line, run in this process; of files only /etc/kubernetes/admin.conf exists. */
export async function kubeVip(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  let out = '';
  let err = '';
  const cleared: string[] = [];
  let started: LoadedConfig | undefined;
  let controller: Outcome['controller'];
  const io: Io = {
    env,
    hostname: 'Host-1',
    fileExists: (path) => path === '/etc/kubernetes/admin.conf',
    readFile: (path) => {
      throw new Error(`no file ${path} here`);
    },
    out: (text) => void (out += text),
    written: () => Promise.resolve(undefined),
    err: (text) => void (err += text),
    endableAtOnce: () => undefined,
    runManager: async (loaded) => {
      started = loaded;
      return 0;
    },
    leaveNothing: async ({ address }) => void cleared.push(address),
    runCloudController: async (loaded, options) => {
      started = loaded;
      controller = options;
      return 0;
    },
  };
  const status = await run(argv, io);
  return { status, out, err, cleared, started, controller };
}
