import type { Clock, Random } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import { Http2KubeClient } from './client.ts';
import type { ClientOptions } from './client.ts';
import type { Connection } from './connection.ts';
import { CachedCredentials, fixedCredentials, readKubeconfig, readTextFile } from './credentials.ts';
import type { Credentials, ReadText } from './credentials.ts';
import { LOCAL_API_PORT, detectServer, localCertificateAddresses } from './detect.ts';
import type { DetectProbes } from './detect.ts';
import type { ChooseProxy } from './pool.ts';
import { isThisMachine } from './proxy.ts';
import { SERVICE_ACCOUNT_MOUNT, readInCluster } from './in-cluster.ts';
import type { InClusterEnvironment } from './in-cluster.ts';
import { KubeconfigError } from './kubeconfig.ts';
import type { SystemLookup } from './lookup.ts';
import { LOCAL_NAME, chooseServer } from './select-client.ts';
import type { ClientChoice, ClientInputs, ServerRule } from './select-client.ts';
import { formatServer } from './server-address.ts';

export interface OpenComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Puts something between the credentials and the client, such as other servers to fall back to. */
  readonly adapt?: (credentials: Credentials) => Credentials;
  /** Absent: every server is reached directly. */
  readonly proxy?: ChooseProxy;
  /** The rest is for tests: the disk, the resolver, and the probes of `cp_detect`. */
  readonly read?: ReadText;
  readonly lookup?: SystemLookup;
  readonly probes?: (connection: Connection) => DetectProbes;
  /** Default 6443: the port `cp_detect` looks at. */
  readonly localApiPort?: number;
}

export interface OpenInputs extends Pick<ClientInputs, 'controlPlane' | 'port' | 'vips'> {
  readonly environment: InClusterEnvironment;
  /** Default: where the kubelet mounts it. */
  readonly serviceAccountMount?: string;
}

type WithClient = Exclude<ClientChoice, { source: 'none' }>;

/**
 * A client for what `selectClient` chose. Opens nothing yet: the first call connects. Credentials
 * that cannot be read make calls fail; to fail early, await `credentials.current()` first.
 */
export function openKubeClient(
  choice: WithClient,
  inputs: OpenInputs,
  components: OpenComponents,
  options: ClientOptions = {},
): { readonly client: Http2KubeClient; readonly credentials: Credentials } {
  const read = credentialsFor(choice, inputs, components);
  const credentials = components.adapt?.(read) ?? read;
  return { client: new Http2KubeClient({ ...components, credentials }, options), credentials };
}

function credentialsFor(choice: WithClient, inputs: OpenInputs, components: OpenComponents): Credentials {
  const read = components.read ?? readTextFile;
  if (choice.source === 'in-cluster') {
    const mount = inputs.serviceAccountMount ?? SERVICE_ACCOUNT_MOUNT;
    return new CachedCredentials(components, mount, () => readInCluster(inputs.environment, mount, read));
  }
  const { path, server } = choice;
  const place = serverChooser(path, server, inputs, components);
  return new CachedCredentials(components, path, async () => place(await readKubeconfig(path, read)));
}

/** Puts the chosen server into what the kubeconfig said. */
function serverChooser(
  path: string,
  rule: ServerRule,
  inputs: OpenInputs,
  components: OpenComponents,
): (fromFile: Connection) => Promise<Connection> {
  if (rule.rule === 'detect') return detecting(inputs, components);
  let warned = false;
  return (fromFile) => {
    const chosen = chooseServer(rule, fromFile.server, inputs);
    if (chosen === undefined) {
      const value = rule.rule === 'override' ? rule.server : '';
      return Promise.reject(
        new KubeconfigError(path, `kubernetes_addr is neither host:port nor a URL: ${value}`),
      );
    }
    if (chosen.replacedVip && !warned) {
      warned = true;
      components.log.warn('the kubeconfig names our own VIP, using the API server of this node instead', {
        server: formatServer(fromFile.server),
        instead: formatServer(chosen.server),
      });
    }
    const isLocal = chosen.server.host === LOCAL_NAME;
    const isHere = rule.rule === 'override' && isThisMachine(chosen.server.host);
    return Promise.resolve({
      ...fromFile,
      server: chosen.server,
      fallsBackToLoopback: isLocal,
      proxy: isLocal || isHere ? undefined : fromFile.proxy,
    });
  };
}

/** Asks once; the answer stays for the life of the process. */
function detecting(
  inputs: OpenInputs,
  components: OpenComponents,
): (fromFile: Connection) => Promise<Connection> {
  const probes = components.probes ?? ((connection) => realProbes(connection, components));
  const port = components.localApiPort ?? LOCAL_API_PORT;
  let found: Ip | undefined;
  return async (fromFile) => {
    if (found === undefined) {
      found = await detectServer(probes(fromFile), inputs.vips);
      components.log.info('API server found by its certificate', { server: found });
    }
    const server = { scheme: 'https' as const, host: found, port, basePath: '' };
    return { ...fromFile, server, proxy: undefined };
  };
}

const VERSION_TIMEOUT_MS = 2000;

function realProbes(connection: Connection, components: OpenComponents): DetectProbes {
  const port = components.localApiPort ?? LOCAL_API_PORT;
  return {
    certificateAddresses: () => localCertificateAddresses(port),
    answers: async (address) => {
      const server = { scheme: 'https' as const, host: address, port, basePath: '' };
      const client = new Http2KubeClient({
        ...components,
        // All of them are to be this machine.
        proxy: () => undefined,
        credentials: fixedCredentials({ ...connection, server }),
      });
      try {
        return (await client.raw('/version', { timeoutMs: VERSION_TIMEOUT_MS })).status === 200;
      } catch {
        return false; // whatever is wrong with this address, the next one may answer
      } finally {
        client.close();
      }
    },
  };
}
