import type { Cluster, Machine } from '../../../lab/index.ts';

export const namespace = 'shop';
const core = `/api/v1/namespaces/${namespace}`;
const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;

const serving = { ready: true, serving: true, terminating: false };

export interface ServiceObject {
  readonly metadata: { readonly uid?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly ports?: readonly unknown[] }[];
    };
  };
}

export interface ServiceWish {
  readonly name: string;
  /** For the annotation loadbalancerIPs; several separated by commas. */
  readonly vip?: string;
  readonly policy?: 'Cluster' | 'Local';
  readonly port?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: object;
}

/** Services and their EndpointSlices in a lab cluster, as their users and controllers write them. */
export class Objects {
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Makes the namespace too. */
  static async in(cluster: Cluster): Promise<Objects> {
    await cluster.api.client.create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    return new Objects(cluster);
  }

  /** A Service with one endpoint on each of these nodes. */
  async create(wish: ServiceWish, nodes: readonly Machine[]): Promise<void> {
    const { name, vip, policy = 'Cluster', port = 80, annotations = {}, spec = {} } = wish;
    const addressed = vip === undefined ? {} : { 'kube-vip.io/loadbalancerIPs': vip };
    await this.setEndpoints(name, nodes);
    await this.#cluster.api.client.create(`${core}/services`, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, annotations: { ...addressed, ...annotations } },
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: policy,
        ports: [{ name: 'main', port, protocol: 'TCP' }],
        ...spec,
      },
    });
  }

  setEndpoints(service: string, nodes: readonly Machine[], conditions: object = serving): Promise<void> {
    const endpoints = nodes.map((node, i) => {
      return { addresses: [`10.244.${i}.2`], nodeName: node.name, conditions };
    });
    return this.#setSlice(service, `${service}-1`, 'IPv4', endpoints);
  }

  /** In a slice of their own. */
  setEndpoints6(service: string, nodes: readonly Machine[]): Promise<void> {
    const endpoints = nodes.map((node, i) => {
      return { addresses: [`fd00:10:244:${i}::2`], nodeName: node.name, conditions: serving };
    });
    return this.#setSlice(service, `${service}-6`, 'IPv6', endpoints);
  }

  async #setSlice(
    service: string,
    name: string,
    addressType: 'IPv4' | 'IPv6',
    endpoints: readonly object[],
  ): Promise<void> {
    const body = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels: { 'kubernetes.io/service-name': service } },
      addressType,
      ports: [{ name: 'main', port: 8080, protocol: 'TCP' }],
      endpoints,
    };
    const { client } = this.#cluster.api;
    const { status } = await client.ask('POST', slices, { body });
    if (status === 409) await client.patch(`${slices}/${name}`, body);
    else if (status >= 300) throw new Error(`EndpointSlice ${name}: ${status}`);
  }

  /** The EndpointSlice goes, as when all Pods of a Deployment are deleted. */
  async deleteEndpoints(service: string): Promise<void> {
    await this.#cluster.api.client.delete(`${slices}/${service}-1`);
  }

  get(name: string): Promise<ServiceObject> {
    return this.#cluster.api.client.get(`${core}/services/${name}`);
  }

  patch(name: string, body: unknown): Promise<ServiceObject> {
    return this.#cluster.api.client.patch(`${core}/services/${name}`, body);
  }

  async delete(name: string): Promise<void> {
    await this.#cluster.api.client.delete(`${core}/services/${name}`);
  }

  /** The addresses in the status. */
  async ingress(name: string): Promise<readonly string[]> {
    const { status } = await this.get(name);
    return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip ?? '');
  }

  async events(name: string): Promise<readonly { readonly reason: string; readonly message: string }[]> {
    const { items } = await this.#cluster.api.client.get<{
      readonly items: readonly {
        readonly reason: string;
        readonly message: string;
        readonly involvedObject: { readonly name?: string };
      }[];
    }>(`${core}/events`);
    return items.filter(({ involvedObject }) => involvedObject.name === name);
  }

  /** Who a lease names; undefined when there is none. */
  async leaseHolder(name: string, leaseNamespace = namespace): Promise<string | undefined> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${leaseNamespace}/leases/${name}`;
    const { status, body } = await this.#cluster.api.client.ask('GET', path);
    if (status === 404) return undefined;
    return (JSON.parse(body) as { spec?: { holderIdentity?: string | null } }).spec?.holderIdentity ?? '';
  }
}
