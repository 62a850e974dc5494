import * as resources from '../../kube/resources.ts';

/** Of other ones the fake takes the kind from the objects themselves. */
const knownResources = [
  resources.leases,
  resources.nodes,
  resources.services,
  resources.endpoints,
  resources.endpointSlices,
  resources.configMaps,
  resources.secrets,
  resources.pods,
  resources.events,
];

/** What a URL path means. */
export interface Route {
  /** `group/version/plural`, the key of the store. */
  readonly collection: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** `plural.group`, for messages. */
  readonly resource: string;
  readonly kind: string | undefined;
  readonly namespace: string;
  /** '' for the collection itself. */
  readonly name: string;
  readonly subresource: string;
}

/** Parses `/api/v1/…` and `/apis/group/version/…`; undefined for every other path. */
export function parseRoute(path: string): Route | undefined {
  const steps = path.split('/').slice(1).map(decode);
  const isCore = steps[0] === 'api';
  if (!isCore && steps[0] !== 'apis') return undefined;
  const group = isCore ? '' : (steps[1] ?? '');
  const version = steps[isCore ? 1 : 2] ?? '';
  const rest = steps.slice(isCore ? 2 : 3);
  const isScoped = rest[0] === 'namespaces' && rest.length > 2 && !isOwnSubresource(rest);
  const namespace = isScoped ? (rest[1] ?? '') : '';
  const [plural = '', name = '', subresource = '', ...surplus] = isScoped ? rest.slice(2) : rest;
  if (plural === '' || surplus.length > 0) return undefined;
  const known = knownResources.find((r) => r.plural === plural && r.group === group);
  return {
    collection: `${group}/${version}/${plural}`,
    group,
    version,
    plural,
    resource: group === '' ? plural : `${plural}.${group}`,
    kind: known?.kind,
    namespace,
    name,
    subresource,
  };
}

/** `/api/v1/namespaces/x/status` is about the namespace itself. */
function isOwnSubresource(rest: readonly string[]): boolean {
  return rest.length === 3 && (rest[2] === 'status' || rest[2] === 'finalize');
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}
