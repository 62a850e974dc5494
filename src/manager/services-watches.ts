import {
  createReflector,
  endpoints,
  endpointSlices,
  nodes,
  services,
  type NodeObject,
  type Reflector,
  type RefreshableReflector,
} from '../kube/index.ts';
import {
  projectNodeAddresses,
  projectService,
  serviceNameLabel,
  SliceProjector,
  type EndpointSlice,
  type NodeAddresses,
  type Service,
  type ServicesOperator,
} from '../services/index.ts';
import { tuneForMany } from './engine.ts';
import type { Parts } from './parts.ts';
import type { ServiceLabels } from './service-labels.ts';

/** What the services operator follows at the API server. */
export interface ServicesWatches {
  readonly services: RefreshableReflector<Service>;
  readonly slices: Reflector<EndpointSlice>;
  readonly nodes: Reflector<NodeObject>;
}

/** `labels`, where our Node has some, is told of those it has. */
export function watchServices(
  { api, clock, config, identity, log, random }: Parts,
  operator: ServicesOperator,
  nodeAddresses: NodeAddresses,
  labels: Pick<ServiceLabels, 'see'> | undefined,
): ServicesWatches {
  const namespace = config.serviceNamespace === '' ? {} : { namespace: config.serviceNamespace };
  const shared = { client: api.client, clock, random, log };
  const projector = new SliceProjector();
  const listener = operator.slicesListener;
  const tune = tuneForMany();
  const watched: RefreshableReflector<Service> = createReflector<Service>(shared, {
    resource: services,
    ...namespace,
    map: projectService,
    listener: {
      ...operator.servicesListener,
      changed: (key, now, before) => {
        operator.servicesListener.changed?.(key, now, before);
        tune(watched.items.size);
      },
    },
  });
  return {
    services: watched,
    slices: config.enableEndpoints
      ? createReflector<EndpointSlice>(shared, {
          resource: endpoints,
          ...namespace,
          map: projector.endpoints,
          listener,
        })
      : createReflector<EndpointSlice>(shared, {
          resource: endpointSlices,
          ...namespace,
          labelSelector: serviceNameLabel,
          map: projector.slice,
          listener,
        }),
    nodes: createReflector<NodeObject>(shared, {
      resource: nodes,
      map: (raw) => {
        const node = projectNodeAddresses(raw);
        const { name, labels: all = {} } = raw.metadata;
        return labels === undefined || name !== identity
          ? node
          : { ...node, metadata: { ...node.metadata, labels: all } };
      },
      listener: {
        ...nodeAddresses.listener,
        changed: (name, now, before) => {
          nodeAddresses.listener.changed?.(name, now, before);
          if (name === identity) labels?.see(now.metadata.labels ?? {});
        },
      },
    }),
  };
}
