import type { NodeObject } from '../kube/types.ts';
import { familyOf, ip, parseIp, type Family, type Ip } from '../lib/ip.ts';

/** Checks this node's API server for the VIPs of a family: undefined is healthy, a text says what was wrong. */
export type SelfCheck = (family: Family, signal: AbortSignal) => Promise<string | undefined>;

const loopback = { 4: ip('127.0.0.1'), 6: ip('::1') } as const;

/**
 * Where this node's API server should answer for VIPs of this family: at the InternalIPs of its Node,
 * and at the loopback address as long as the Node is not known, for it may be that very API server
 * which knows it.
 */
export function selfTargets(node: NodeObject | undefined, family: Family): readonly Ip[] {
  if (node === undefined) return [loopback[family]];
  return (node.status?.addresses ?? []).flatMap(({ type, address }) => {
    const parsed = type === 'InternalIP' ? parseIp(address) : undefined;
    return parsed !== undefined && familyOf(parsed) === family ? [parsed] : [];
  });
}

/** One answer of 200 is enough: an API server may listen on one of its node's addresses only. */
export async function checkTargets(
  targets: readonly Ip[],
  family: Family,
  probe: (target: Ip) => Promise<string | undefined>,
): Promise<string | undefined> {
  if (targets.length === 0) return `the Node has no InternalIP of IPv${family}`;
  const answers = await Promise.all(
    targets.map((target) =>
      probe(target).then(
        (problem) => problem && `${target}: ${problem}`,
        (error: unknown) => `${target}: ${error instanceof Error ? error.message : String(error)}`,
      ),
    ),
  );
  return answers.includes(undefined) ? undefined : answers.join('; ');
}
