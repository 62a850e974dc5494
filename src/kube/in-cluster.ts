import path from 'node:path';
import { KubeVipError, messageOf } from '../lib/errors.ts';
import type { Connection } from './connection.ts';
import { readTextFile } from './credentials.ts';
import type { ReadText } from './credentials.ts';
import { whyUnusable } from './material.ts';
import type { MaterialKind } from './material.ts';

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
  const [token, ca] = await Promise.all([
    readMount(mount, 'token', 'token', read),
    readMount(mount, 'ca.crt', 'ca', read),
  ]);
  return {
    server: { scheme: 'https', host: environment.serviceHost, port, basePath: '' },
    ca,
    cert: undefined,
    key: undefined,
    token: token.trim(),
    isInsecure: false,
    tlsServerName: undefined,
    fallsBackToLoopback: false,
    proxy: undefined,
  };
}

async function readMount(mount: string, file: string, kind: MaterialKind, read: ReadText): Promise<string> {
  const unusable = (why: string, options?: ErrorOptions): InClusterError =>
    new InClusterError(`the service-account mount has no usable ${file}: ${why}`, options);
  let text: string;
  try {
    text = await read(path.join(mount, file));
  } catch (error) {
    throw unusable(messageOf(error), { cause: error });
  }
  const problem = whyUnusable(kind, text);
  if (problem !== undefined) throw unusable(`it ${problem}`);
  return text;
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
