import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { sameConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { errorCode } from './errors.ts';
import { KubeconfigError, parseKubeconfig } from './kubeconfig.ts';
import type { Kubeconfig, Material } from './kubeconfig.ts';
import { whyUnusable } from './material.ts';
import type { MaterialKind } from './material.ts';

/** Where the client's server address, certificates and token come from, now and after they changed. */
export interface Credentials {
  /** For logs: the file or mount they come from. */
  readonly origin: string;
  /** What was read last; undefined before the first read. */
  readonly known: Connection | undefined;
  /** What was read last; read again in the background when it is old. Throws only if nothing was ever read. */
  current(): Promise<Connection>;
  /** Reads again now. What was known stays in use when that fails. */
  refresh(): Promise<Connection>;
}

export type ReadText = (file: string) => Promise<string>;

export const readTextFile: ReadText = (file) => readFile(file, 'utf8');

/** Bound service-account tokens are rewritten by the kubelet well before they expire; client-go looks every minute too. */
const MAX_AGE_MS = 60_000;

export interface CredentialsComponents {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Remembers what a reader returned, asks it again when that is old or was refused. */
export class CachedCredentials implements Credentials {
  readonly origin: string;
  private readonly components: CredentialsComponents;
  private readonly read: () => Promise<Connection>;
  private last: Connection | undefined;
  private readAt = -Infinity;
  private reading: Promise<Connection> | undefined;
  private lastProblem: string | undefined;

  constructor(components: CredentialsComponents, origin: string, read: () => Promise<Connection>) {
    this.components = components;
    this.origin = origin;
    this.read = read;
  }

  get known(): Connection | undefined {
    return this.last;
  }

  async current(): Promise<Connection> {
    if (this.last === undefined) return this.refresh();
    if (this.components.clock.now() - this.readAt >= MAX_AGE_MS) {
      // Not awaited: a slow disk must not delay a lease renewal.
      this.refresh().catch(() => undefined);
    }
    return this.last;
  }

  refresh(): Promise<Connection> {
    this.reading ??= this.readAgain().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readAgain(): Promise<Connection> {
    this.readAt = this.components.clock.now();
    try {
      const fresh = await this.read();
      if (this.last !== undefined && !sameConnection(this.last, fresh)) {
        this.components.log.info('credentials changed', { origin: this.origin });
      }
      this.last = fresh;
      this.lastProblem = undefined;
      return fresh;
    } catch (error) {
      if (this.last === undefined) throw error;
      this.report(messageOf(error));
      return this.last;
    }
  }

  private report(problem: string): void {
    if (problem === this.lastProblem) return;
    this.lastProblem = problem;
    this.components.log.warn('credentials cannot be read again, keeping the last ones', {
      origin: this.origin,
      error: problem,
    });
  }
}

/** Credentials that never change. */
export function fixedCredentials(connection: Connection): Credentials {
  return {
    origin: 'fixed',
    known: connection,
    current: () => Promise.resolve(connection),
    refresh: () => Promise.resolve(connection),
  };
}

/**
 * Reads a kubeconfig and the files it refers to (relative ones beside the kubeconfig).
 *
 * @throws KubeconfigError when the file, or what it holds or names, cannot be read or used.
 */
export async function readKubeconfig(file: string, read: ReadText = readTextFile): Promise<Connection> {
  const config = parseKubeconfig(await readOrExplain(file, file, read), file);
  return resolveMaterials(config, file, read);
}

const fieldOf: Readonly<Record<MaterialKind, string>> = {
  ca: 'certificate-authority',
  cert: 'client-certificate',
  key: 'client-key',
  token: 'tokenFile',
};

async function resolveMaterials(config: Kubeconfig, file: string, read: ReadText): Promise<Connection> {
  const load = async (kind: MaterialKind): Promise<string | undefined> => {
    const material: Material | undefined = config[kind];
    if (material === undefined) return undefined;
    const isText = 'text' in material;
    const source = isText ? '' : path.resolve(path.dirname(file), material.file);
    const text = isText ? material.text : await readOrExplain(source, file, read);
    const problem = whyUnusable(kind, text);
    if (problem === undefined) return text;
    throw new KubeconfigError(file, `${fieldOf[kind]}${isText ? '' : ` ${source}`} ${problem}`);
  };
  const [ca, cert, key, token] = await Promise.all([load('ca'), load('cert'), load('key'), load('token')]);
  return {
    server: config.server,
    ca,
    cert,
    key,
    token: token?.trim(),
    isInsecure: config.isInsecure,
    tlsServerName: config.tlsServerName,
    fallsBackToLoopback: false,
    proxy: config.proxy,
  };
}

const madeByRuntime =
  'it is a folder; a container runtime makes one where a file is mounted that the host does not have';

async function readOrExplain(file: string, kubeconfig: string, read: ReadText): Promise<string> {
  try {
    return await read(file);
  } catch (error) {
    const what = file === kubeconfig ? 'cannot be read' : `names a file that cannot be read: ${file}`;
    const why = errorCode(error) === 'EISDIR' ? madeByRuntime : messageOf(error);
    throw new KubeconfigError(kubeconfig, `${what}: ${why}`, { cause: error });
  }
}
