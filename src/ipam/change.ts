import type { KubeObject } from '../kube/types.ts';
import { annotation, finalizer, implementationLabel, legacyLabel, type Change } from './types.ts';

type Strings = Readonly<Record<string, string>>;

/**
 * The Service as one update writes it. Everything else stays as it was read, the resourceVersion too, so
 * that the API server refuses it when somebody wrote meanwhile.
 */
export function changed(service: KubeObject, change: Change): KubeObject {
  const { labels, annotations, finalizers, ...metadata } = service.metadata;
  const { spec } = service as KubeObject & { readonly spec?: object };
  const { loadBalancerIP } = change;
  return {
    ...service,
    metadata: {
      ...metadata,
      labels: labelsAfter(labels ?? {}, change),
      annotations: {
        ...annotations,
        ...(change.annotation === undefined ? {} : { [annotation.addresses]: change.annotation }),
        ...(change.interfaceName === undefined ? {} : { [annotation.interface]: change.interfaceName }),
      },
      finalizers: finalizersAfter(finalizers ?? [], change),
    },
    ...(loadBalancerIP === undefined ? {} : { spec: { ...spec, loadBalancerIP } }),
  };
}

function labelsAfter(labels: Strings, { label, dropLegacyLabel = false }: Change): Strings {
  const { key, value } = implementationLabel;
  if (label === 'keep') return labels;
  const rest = Object.entries(labels).filter(
    ([name]) => name !== key && !(dropLegacyLabel && name === legacyLabel),
  );
  return Object.fromEntries(label === 'set' ? [...rest, [key, value]] : rest);
}

function finalizersAfter(finalizers: readonly string[], { finalizer: what }: Change): readonly string[] {
  if (what === 'keep') return finalizers;
  const others = finalizers.filter((name) => name !== finalizer);
  return what === 'add' ? [...others, finalizer] : others;
}
