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
import type { Parts } from './parts.ts';

/** What the services operator follows at the API server. */
export interface ServicesWatches {
  readonly services: RefreshableReflector<Service>;
  readonly slices: Reflector<EndpointSlice>;
  readonly nodes: Reflector<NodeObject>;
}

export function watchServices(
  { api, clock, config, log, random }: Parts,
  operator: ServicesOperator,
  nodeAddresses: NodeAddresses,
): ServicesWatches {
  const namespace = config.serviceNamespace === '' ? {} : { namespace: config.serviceNamespace };
  const shared = { client: api.client, clock, random, log };
  const projector = new SliceProjector();
  const listener = operator.slicesListener;
  return {
    services: createReflector<Service>(shared, {
      resource: services,
      ...namespace,
      map: projectService,
      listener: operator.servicesListener,
    }),
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
      map: projectNodeAddresses,
      listener: nodeAddresses.listener,
    }),
  };
}
