import type { ObjectRef, Resource } from './types.ts';

function resource(group: string, version: string, plural: string, kind: string, namespaced = true): Resource {
  return { group, version, plural, kind, namespaced };
}

export const leases = resource('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const nodes = resource('', 'v1', 'nodes', 'Node', false);
export const services = resource('', 'v1', 'services', 'Service');
export const endpoints = resource('', 'v1', 'endpoints', 'Endpoints');
export const endpointSlices = resource('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');
export const configMaps = resource('', 'v1', 'configmaps', 'ConfigMap');
export const secrets = resource('', 'v1', 'secrets', 'Secret');
export const pods = resource('', 'v1', 'pods', 'Pod');
export const events = resource('', 'v1', 'events', 'Event');

/** Plural with its group, as RBAC messages name it: `leases.coordination.k8s.io`. */
export function resourceName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** URL path of a collection; a namespaced one without `namespace` means all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope =
    resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.plural}`;
}

/** URL path of one object; throws TypeError for a namespaced object without a namespace. */
export function objectPath(resource: Resource, ref: ObjectRef, subresource?: string): string {
  if (resource.namespaced && (ref.namespace ?? '') === '') {
    throw new TypeError(`${resource.kind} ${ref.name} needs a namespace`);
  }
  const path = `${collectionPath(resource, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `?a=b&c=d` of the defined, non-empty values; '' when there are none. */
export function queryString(
  parameters: Readonly<Record<string, string | number | boolean | undefined>>,
): string {
  const pairs = Object.entries(parameters)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** Cache key of an object: `namespace/name`, or `name` for cluster-scoped ones. */
export function keyOf(ref: { readonly namespace?: string; readonly name?: string }): string {
  const name = ref.name ?? '';
  return ref.namespace === undefined || ref.namespace === '' ? name : `${ref.namespace}/${name}`;
}
