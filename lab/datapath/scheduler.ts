import { isReady, type NodeObject, type Pod } from './types.ts';

/** May new pods be put there? */
export function isSchedulable({ spec, status }: NodeObject): boolean {
  return spec?.unschedulable !== true && isReady(status);
}

/** Copies of one workload: same namespace, same labels but for the revision. */
function workloadOf({ metadata }: Pod): string {
  const labels = Object.entries(metadata.labels ?? {}).filter(([name]) => name !== 'pod-template-hash');
  return `${metadata.namespace} ${labels
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join()}`;
}

/** The node with the fewest copies of its workload, then the fewest pods at all; undefined: none may have it. */
export function chooseNode(
  pod: Pod,
  nodes: readonly NodeObject[],
  pods: readonly Pod[],
): NodeObject | undefined {
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const wanted = Object.entries(pod.spec.nodeSelector ?? {});
  const load = (node: NodeObject): number => {
    const here = staying.filter(({ spec }) => spec.nodeName === node.metadata.name);
    const copies = here.filter((other) => workloadOf(other) === workloadOf(pod));
    return copies.length * 1000 + here.length;
  };
  return nodes
    .filter(isSchedulable)
    .filter(({ metadata }) => wanted.every(([name, value]) => metadata.labels?.[name] === value))
    .map((node) => ({ node, load: load(node) }))
    .sort((a, b) => a.load - b.load)[0]?.node;
}
