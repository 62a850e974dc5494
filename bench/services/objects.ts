/** The objects of the benchmark, by number: a Service with one EndpointSlice of five endpoints. */
export const namespace = 'bench';

const endpointsEach = 5;

/** Holds every VIP; beyond every address of the lab. */
export const pool = '172.16.0.0/12';

/** What the text of every address starts with, of as many Services as 65 536. */
export const vipPrefix = '172.16.';

function vipOf(i: number): string {
  return `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
}

export function nameOf(i: number): string {
  return `s${i}`;
}

export function numberOf(name: string): number {
  return Number(name.slice(1));
}

export interface ServiceShape {
  /** False: a controller is there and assigns one. */
  readonly withAddress: boolean;
}

export function serviceObject(i: number, { withAddress }: ServiceShape): object {
  const annotations = withAddress ? { 'kube-vip.io/loadbalancerIPs': vipOf(i) } : {};
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: nameOf(i), namespace, annotations },
    spec: {
      type: 'LoadBalancer',
      allocateLoadBalancerNodePorts: false,
      ports: [{ name: 'main', port: 80, protocol: 'TCP' }],
    },
  };
}

/** `ready` is that of the last endpoint: what a change of it costs is one of the figures. */
export function sliceObject(i: number, nodes: readonly string[], ready = true): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${nameOf(i)}-1`,
      namespace,
      labels: { 'kubernetes.io/service-name': nameOf(i) },
    },
    addressType: 'IPv4',
    ports: [{ name: 'main', port: 8080, protocol: 'TCP' }],
    endpoints: endpointsOf(i, nodes, ready),
  };
}

export function endpointsOf(i: number, nodes: readonly string[], ready: boolean): readonly object[] {
  return Array.from({ length: endpointsEach }, (_, n) => {
    const isReady = ready || n < endpointsEach - 1;
    return {
      addresses: [`10.244.${n}.${(i % 250) + 2}`],
      nodeName: nodes[n % nodes.length],
      conditions: { ready: isReady, serving: isReady, terminating: false },
    };
  });
}
