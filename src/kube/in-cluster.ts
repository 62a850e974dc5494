import path from 'node:path';
import { KubeVipError, messageOf } from '../lib/errors.ts';
import type { Connection } from './connection.ts';
import { readTextFile } from './credentials.ts';
import type { ReadText } from './credentials.ts';

export const SERVICE_ACCOUNT_MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Not in a Pod with a service account, and no kubeconfig either. Fatal at start. */
export class InClusterError extends KubeVipError {
  readonly code = 'IN_CLUSTER';
}

/** What the kubelet puts into every Pod's environment. */
export interface InClusterEnvironment {
  /** KUBERNETES_SERVICE_HOST */
  readonly serviceHost: string;
  /** KUBERNETES_SERVICE_PORT */
  readonly servicePort: string;
}

/**
 * Reads the Pod's service-account mount.
 *
 * @throws InClusterError when the environment or the mount is missing.
 */
export async function readInCluster(
  environment: InClusterEnvironment,
  mount: string = SERVICE_ACCOUNT_MOUNT,
  read: ReadText = readTextFile,
): Promise<Connection> {
  const port = Number(environment.servicePort);
  if (environment.serviceHost === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InClusterError(
      'no Kubernetes credentials: no kubeconfig was found, and KUBERNETES_SERVICE_HOST and _PORT are not set as in a Pod; set k8s_config_file or mount /etc/kubernetes/admin.conf',
    );
  }
  const [token, ca] = await Promise.all([readMount(mount, 'token', read), readMount(mount, 'ca.crt', read)]);
  return {
    server: { scheme: 'https', host: environment.serviceHost, port, basePath: '' },
    ca,
    cert: undefined,
    key: undefined,
    token: token.trim(),
    isInsecure: false,
    tlsServerName: undefined,
    fallsBackToLoopback: false,
  };
}

async function readMount(mount: string, file: string, read: ReadText): Promise<string> {
  try {
    return await read(path.join(mount, file));
  } catch (error) {
    throw new InClusterError(`the service-account mount has no usable ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The Pod's own namespace; undefined outside a Pod. */
export async function readPodNamespace(
  mount: string = SERVICE_ACCOUNT_MOUNT,
  read: ReadText = readTextFile,
): Promise<string | undefined> {
  try {
    const text = (await read(path.join(mount, 'namespace'))).trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined; // no mount: a static Pod or a plain process
  }
}
