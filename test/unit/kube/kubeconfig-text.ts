/** The text of a kubeconfig with one context. */
export function kubeconfig(parts: {
  readonly server?: string;
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [
      { name: 'c', cluster: { server: parts.server ?? 'https://10.0.0.100:6443', ...parts.cluster } },
    ],
    users: [{ name: 'u', user: parts.user ?? {} }],
  });
}
