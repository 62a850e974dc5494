import { writeFileSync } from 'node:fs';

export interface KubeconfigOptions {
  /** For example https://127.0.0.1:6443 or http://10.77.0.5:6443. */
  readonly server: string;
  /** PEM of the authority; undefined for plain http. */
  readonly ca?: string;
  readonly token?: string;
  readonly user?: string;
}

/** A kubeconfig as JSON, which is YAML too: no client can tell. */
export function formatKubeconfig(options: KubeconfigOptions): string {
  const user = options.user ?? 'lab';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [
      {
        name: 'lab',
        cluster: {
          server: options.server,
          ...(options.ca === undefined
            ? {}
            : { 'certificate-authority-data': Buffer.from(options.ca).toString('base64') }),
        },
      },
    ],
    users: [{ name: user, user: options.token === undefined ? {} : { token: options.token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user } }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

export function writeKubeconfig(file: string, options: KubeconfigOptions): string {
  writeFileSync(file, formatKubeconfig(options), { mode: 0o600 });
  return file;
}
