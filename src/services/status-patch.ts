import type { CallOptions, KubeClient, KubeObject, ObjectRef, Resource } from '../kube/types.ts';
import type { WantedStatus } from './status-writer.ts';
import { annotation, type Service } from './types.ts';

const services: Resource = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
};

const timeoutMs = 5000;

/**
 * Writes status and annotation with one request. The status path takes changes of metadata too (only
 * `spec` is kept). uid and resourceVersion make it refuse when somebody else wrote meanwhile: a former
 * holder's late write never hides the new holder's.
 *
 * kube-vip's role grants `update` and not `patch`: where a patch is forbidden, the Service is read and
 * written back whole, from then on.
 */
export function createStatusWrite(
  client: Pick<KubeClient, 'get' | 'update' | 'patch'>,
): (service: Service, wanted: WantedStatus, signal: AbortSignal) => Promise<void> {
  let mayPatch = true;
  return async (service, wanted, signal) => {
    const { name = '', namespace = '', uid, resourceVersion } = service.metadata;
    const ref = { name, namespace };
    const options = { subresource: 'status', signal, timeoutMs } as const;
    if (mayPatch) {
      const annotated = wanted.vipHost === undefined ? {} : { annotations: hostAnnotation(wanted.vipHost) };
      const metadata = { uid, resourceVersion, ...annotated };
      const body = { metadata, status: { loadBalancer: { ingress: wanted.ingress } } };
      try {
        await client.patch(services, ref, 'merge', body, options);
        return;
      } catch (error) {
        if (!isForbidden(error)) throw error;
        mayPatch = false;
      }
    }
    try {
      await rewrite(client, ref, wanted, options);
    } catch (error) {
      // Then it was no matter of the verb.
      if (isForbidden(error)) mayPatch = true;
      throw error;
    }
  };
}

async function rewrite(
  client: Pick<KubeClient, 'get' | 'update'>,
  ref: ObjectRef,
  wanted: WantedStatus,
  options: CallOptions & { readonly subresource: 'status' },
): Promise<void> {
  const current = await client.get<KubeObject & { status?: object }>(services, ref, options);
  const host = wanted.vipHost === undefined ? {} : hostAnnotation(wanted.vipHost);
  const annotations = { ...current.metadata.annotations, ...host };
  const changed = {
    ...current,
    metadata: { ...current.metadata, annotations },
    status: { ...current.status, loadBalancer: { ingress: wanted.ingress } },
  };
  await client.update(services, changed, options);
}

function hostAnnotation(node: string): Readonly<Record<string, string>> {
  return { [annotation.vipHost]: node };
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'kind' in error && error.kind === 'forbidden';
}
