import { existsSync } from 'node:fs';
import { defaultConfig, type Config } from '../config/index.ts';
import {
  candidateFiles,
  FallbackCredentials,
  openKubeClient,
  proxyOf,
  readPodNamespace,
  selectClient,
  type ChooseProxy,
  type ClientChoice,
  type Credentials,
  type Http2KubeClient,
} from '../kube/index.ts';
import type { Ip } from '../lib/ip.ts';
import type { Clock, Random } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { StartError } from './errors.ts';

export interface Api {
  readonly client: Http2KubeClient;
  readonly credentials: Credentials;
  /** Tells the client which other API servers there are; absent where it keeps to its own. */
  readonly others: ((addresses: readonly Ip[]) => void) | undefined;
  /** Namespace of this Pod's service account; undefined outside a Pod. */
  readonly podNamespace: string | undefined;
}

/**
 * Chooses credentials and server and makes the client. No call is made: a static Pod must start before
 * its API server exists.
 *
 * @param kubeconfig this file and the server it names, whatever the settings say.
 * @throws StartError when there are no credentials at all, or they cannot be used.
 */
export async function openApi(
  config: Config,
  vips: readonly string[],
  parts: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
  kubeconfig?: string,
): Promise<Api> {
  const inputs = {
    electionType: config.leaderElectionType,
    k8sConfigFile: config.k8sConfigFile,
    kubernetesAddr: config.kubernetesAddr,
    controlPlane: config.enableControlPlane,
    detectControlPlane: config.detectControlPlane,
    port: config.port,
    home: process.env['HOME'] ?? '',
    vips,
  };
  const existing = new Set(candidateFiles(inputs).filter((file) => existsSync(file)));
  const choice: ClientChoice =
    kubeconfig === undefined
      ? selectClient({ ...inputs, existing })
      : { source: 'kubeconfig', path: kubeconfig, server: { rule: 'file' } };
  if (choice.source === 'none') throw new StartError('leaderElectionType=etcd uses no Kubernetes API');
  const missing = config.k8sConfigFile;
  if (kubeconfig === undefined && missing !== defaultConfig.k8sConfigFile && !existing.has(missing))
    parts.log.warn('the kubeconfig that is configured does not exist, looking for another', {
      k8s_config_file: missing,
    });
  const environment = {
    serviceHost: process.env['KUBERNETES_SERVICE_HOST'] ?? '',
    servicePort: process.env['KUBERNETES_SERVICE_PORT'] ?? '',
  };
  const adapt = (read: Credentials): Credentials => new FallbackCredentials(read, config.port);
  const proxy: ChooseProxy = (connection) => proxyOf(connection, process.env);
  const components = { ...parts, proxy, ...(config.enableLoadBalancer ? { adapt } : {}) };
  const { client, credentials } = openKubeClient(choice, { ...inputs, environment }, components);
  try {
    const found = proxy(await credentials.current());
    if (found !== undefined)
      parts.log.info('the API server is reached through a proxy', { proxy: found.name });
  } catch (error) {
    client.close();
    throw new StartError(messageOf(error), { cause: error });
  }
  parts.log.info('using the API server', { server: client.server, credentials: credentials.origin });
  const others =
    credentials instanceof FallbackCredentials
      ? (addresses: readonly Ip[]) => {
          credentials.setOthers(addresses);
        }
      : undefined;
  return { client, credentials, others, podNamespace: await readPodNamespace() };
}
