import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Config, LoadedConfig, Surroundings } from '../config/index.ts';
import type { HeldSignals } from '../held-signals.ts';
import type { CloudControllerOptions } from '../manager/index.ts';

/** What commands may touch outside themselves. */
export interface Io extends Surroundings {
  fileExists(path: string): boolean;
  out(text: string): void;
  /** Resolves when all of that has been taken, with the error if it could not be written. */
  written(): Promise<Error | undefined>;
  err(text: string): void;
  /** The command has nothing to put in order: a signal may end the process at once. */
  endableAtOnce(): void;
  /** Runs the daemon until it ends; resolves with the exit status. */
  runManager(loaded: LoadedConfig): Promise<number>;
  /** The daemon cannot run with such settings: nothing of a predecessor's control plane stays on the node either. */
  leaveNothing(readable: Config): Promise<void>;
  /** The same for the address controller. */
  runCloudController(loaded: LoadedConfig, options: CloudControllerOptions): Promise<number>;
}

/** The real process. */
export function processIo(held: HeldSignals): Io {
  // A reader that went away (`kube-vip --help | head -1`) is no failure of ours.
  process.stderr.on('error', () => undefined);
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error) => {
    failure ??= error;
  });
  return {
    env: process.env,
    hostname: hostname(),
    fileExists: existsSync,
    readFile: (path) => readFileSync(path, 'utf8'),
    out: (text) => void process.stdout.write(text),
    written: () =>
      new Promise((resolve) => {
        process.stdout.write('', () => {
          // Node tells of an error in a later turn than of the end of the write.
          setImmediate(() => {
            resolve(failure?.code === 'EPIPE' ? undefined : failure);
          });
        });
      }),
    err: (text) => void process.stderr.write(text),
    endableAtOnce: () => {
      held.release();
    },
    // Loaded only here: no other command waits for the daemon's modules.
    runManager: async (loaded) => (await import('../manager/index.ts')).runManager(loaded, held),
    leaveNothing: async (readable) => (await import('../manager/index.ts')).clearAfterRefusal(readable),
    runCloudController: async (loaded, options) =>
      (await import('../manager/index.ts')).runCloudController(loaded, options, held),
  };
}
