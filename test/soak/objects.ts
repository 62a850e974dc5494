import { waitFor, type Cluster } from '../../lab/index.ts';
import type { Wish } from './model.ts';
import { namespace } from './site.ts';

const services = `/api/v1/namespaces/${namespace}/services`;
const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;

export interface ServiceObject {
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/** The addresses that a user names; undefined: it is given one. */
export function namedAddresses(cluster: Cluster, { vip, dual }: Wish): readonly string[] | undefined {
  if (vip === undefined) return undefined;
  const { plan } = cluster.lab;
  return dual ? [plan.vip(vip), plan.vip6(vip)] : [plan.vip(vip)];
}

function annotationsOf(cluster: Cluster, wish: Wish): Record<string, string | null> {
  const addresses = namedAddresses(cluster, wish);
  return {
    ...(addresses === undefined ? {} : { 'kube-vip.io/loadbalancerIPs': addresses.join() }),
    'kube-vip.io/leaseName': wish.lease ?? null,
    'kube-vip.io/ignore': wish.isOurs ? null : 'true',
  };
}

/** Only what is set: null means "take away" in a patch, and nothing elsewhere. */
function withoutNulls(record: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])),
  );
}

function specOf({ policy, port }: Wish): object {
  return {
    type: 'LoadBalancer',
    externalTrafficPolicy: policy,
    ports: [{ name: 'main', port, protocol: 'TCP' }],
  };
}

/** Makes it, or edits it where an attempt without an answer made it. One that is about to go is waited for. */
export async function createService(cluster: Cluster, wish: Wish): Promise<void> {
  await setEndpoints(cluster, wish);
  const annotations = withoutNulls(annotationsOf(cluster, wish));
  const metadata = { name: wish.name, namespace, annotations };
  const body = { apiVersion: 'v1', kind: 'Service', metadata, spec: specOf(wish) };
  const { client } = cluster.api;
  await waitFor(
    async () => {
      const { status, body: text } = await client.ask('POST', services, { body });
      if (status === 201) return true;
      if (status !== 409) throw new Error(`Service ${wish.name}: ${status} ${text}`);
      const there = await client.get<ServiceObject>(`${services}/${wish.name}`);
      if (there.metadata.deletionTimestamp !== undefined) return false;
      await editService(cluster, wish);
      return true;
    },
    { what: `Service ${wish.name} to be made`, everyMs: 100 },
  );
}

export async function editService(cluster: Cluster, wish: Wish): Promise<void> {
  const body = { metadata: { annotations: annotationsOf(cluster, wish) }, spec: specOf(wish) };
  await cluster.api.client.patch(`${services}/${wish.name}`, body);
}

export async function deleteService(cluster: Cluster, name: string): Promise<void> {
  await cluster.api.client.delete(`${services}/${name}`);
  await cluster.api.client.delete(`${slices}/${name}-1`);
}

export async function setEndpoints(cluster: Cluster, { name, nodes }: Wish): Promise<void> {
  const conditions = { ready: true, serving: true, terminating: false };
  const endpoints = nodes.map((nodeName, i) => ({ addresses: [`10.244.${i}.2`], nodeName, conditions }));
  const labels = { 'kubernetes.io/service-name': name };
  const body = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace, labels },
    addressType: 'IPv4',
    ports: [{ name: 'main', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
  const { client } = cluster.api;
  const { status } = await client.ask('POST', slices, { body });
  if (status === 409) await client.patch(`${slices}/${name}-1`, body);
  else if (status >= 300) throw new Error(`EndpointSlice of ${name}: ${status}`);
}

export async function listServices(cluster: Cluster): Promise<readonly ServiceObject[]> {
  return (await cluster.api.client.get<{ readonly items: readonly ServiceObject[] }>(services)).items;
}
