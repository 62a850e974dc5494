import type { KubeObject } from '../kube/types.ts';
import { annotationPrefix, type Endpoint, type EndpointSlice, type Ingress, type Service } from './types.ts';

/** Label of an EndpointSlice that names its Service. */
export const serviceNameLabel = 'kubernetes.io/service-name';

/**
 * Keeps of a Service only what is read here. What is null, as from a server that is not written in Go, is as if it were
 * not there: one object that cannot be read would stop the watch of all.
 */
export function projectService(raw: KubeObject): Service {
  const { metadata, spec, status } = raw as Service;
  const { name, namespace, uid, resourceVersion, creationTimestamp, annotations } = metadata;
  const own = Object.entries(annotations ?? {}).filter(([key]) => key.startsWith(annotationPrefix));
  const ingress = status?.loadBalancer?.ingress?.map(shown);
  return {
    metadata: drop({
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
      annotations: own.length === 0 ? undefined : Object.fromEntries(own),
    }),
    spec: drop({
      type: spec?.type,
      loadBalancerClass: spec?.loadBalancerClass,
      loadBalancerIP: spec?.loadBalancerIP,
      externalTrafficPolicy: spec?.externalTrafficPolicy,
      ipFamilies: spec?.ipFamilies,
      ipFamilyPolicy: spec?.ipFamilyPolicy,
      loadBalancerSourceRanges: spec?.loadBalancerSourceRanges,
      ports: spec?.ports?.map(({ port, protocol }) => ({ port, protocol: protocol ?? 'TCP' })),
    }),
    ...(ingress === undefined ? {} : { status: { loadBalancer: { ingress } } }),
  };
}

function shown({ ip, hostname, ports }: Ingress): Ingress {
  return drop({ ip, hostname, ports });
}

const one: readonly string[] = ['-'];
const none: readonly Endpoint[] = [];

/**
 * Makes small copies of EndpointSlices: of an endpoint only where it is and what it can do, and equal
 * ones are one object (there are as many different ones as nodes times conditions).
 */
export class SliceProjector {
  private readonly known = new Map<string, Endpoint>();

  readonly slice = (raw: KubeObject): EndpointSlice => {
    const { metadata, endpoints, addressType } = raw as EndpointSlice;
    const serviceName = metadata.labels?.[serviceNameLabel] ?? '';
    return {
      metadata: drop({
        name: metadata.name,
        namespace: metadata.namespace,
        labels: { [serviceNameLabel]: serviceName },
      }),
      ...drop({ addressType }),
      endpoints: (endpoints ?? none).map((endpoint) => this.intern(endpoint)),
    };
  };

  /** An Endpoints object as one slice: its ready addresses. */
  readonly endpoints = (raw: KubeObject): EndpointSlice => {
    const { metadata, subsets } = raw as KubeObject & {
      readonly subsets?: readonly {
        readonly addresses?: readonly {
          readonly ip?: string;
          readonly nodeName?: string;
          readonly hostname?: string;
        }[];
      }[];
    };
    const name = metadata.name ?? '';
    const ready = (subsets ?? []).flatMap(({ addresses }) => addresses ?? []);
    return {
      metadata: drop({
        name,
        namespace: metadata.namespace,
        labels: { [serviceNameLabel]: name },
      }),
      // An Endpoints object has addresses of the Service's first family only.
      ...(ready[0]?.ip === undefined ? {} : { addressType: ready[0].ip.includes(':') ? 'IPv6' : 'IPv4' }),
      endpoints: ready.map(({ nodeName, hostname }) =>
        this.intern(drop({ addresses: one, nodeName, hostname })),
      ),
    };
  };

  private intern(endpoint: Endpoint): Endpoint {
    const { nodeName, hostname } = endpoint;
    const isEmpty = (endpoint.addresses ?? []).length === 0;
    const { ready, serving, terminating } = endpoint.conditions ?? {};
    const place = nodeName ?? hostname ?? '';
    const key = `${place} ${ready} ${serving} ${terminating} ${isEmpty}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const made: Endpoint = {
      addresses: isEmpty ? [] : one,
      nodeName: place,
      conditions: drop({ ready, serving, terminating }),
    };
    if (this.known.size < 10_000) this.known.set(key, made);
    return made;
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the properties that are undefined, or null. */
function drop<T extends object>(value: T): Defined<T> {
  const parts = Object.entries(value).filter(([, part]) => part !== undefined && part !== null);
  return Object.fromEntries(parts) as Defined<T>;
}
