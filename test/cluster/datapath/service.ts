import {
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  ensurePrivilege,
  whyMissing,
  type DataPath,
} from '../../../lab/index.ts';

/** Why these tests cannot run here, or false. */
export async function whySkipped(): Promise<string | false> {
  const refused = ensurePrivilege();
  const programs = await ensureComponents([...clusterPrograms, ...dataPathPrograms], { install: false });
  return refused?.because ?? whyMissing(programs) ?? false;
}

export const namespace = 'shop';

export interface ServiceWish {
  readonly name: string;
  readonly vip: string;
  readonly policy?: 'Cluster' | 'Local';
  readonly port?: number;
  /** Label `app` of its pods; default: its name. */
  readonly app?: string;
}

export async function createNamespace({ cluster }: DataPath): Promise<void> {
  await cluster.api.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
}

/** A Service of type LoadBalancer in front of the pods with its label; the controllers do the rest. */
export async function createService({ cluster }: DataPath, wish: ServiceWish): Promise<void> {
  const { name, vip, policy = 'Cluster', port = 80, app = name } = wish;
  await cluster.api.client.create(`/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations: { 'kube-vip.io/loadbalancerIPs': vip } },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: policy,
      selector: { app },
      ports: [{ name: 'http', port, targetPort: 8080 }],
    },
  });
}

export async function deleteService({ cluster }: DataPath, name: string): Promise<void> {
  await cluster.api.client.delete(`/api/v1/namespaces/${namespace}/services/${name}`);
}
