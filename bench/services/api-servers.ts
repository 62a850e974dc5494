import type { Cluster } from '../../lab/index.ts';
import { cpuSeconds } from '../process.ts';

/**
 * Milliseconds that the real API servers and etcd have run so far, 0 of an embedded one. Two minutes after its last
 * collection Go begins one of its own accord: with the caches of 1 000 Services that is 100 ms of both processors, and
 * a fail-over that falls into it waits.
 */
export function ranMs(cluster: Cluster): number {
  if (cluster.api.kind !== 'real') return 0;
  const programs = cluster.lab.controlPlanes.map((node) => cluster.real.processesOf(node));
  const seconds = programs.flatMap(({ etcd, apiserver }) => [
    cpuSeconds(etcd.pid),
    cpuSeconds(apiserver.pid),
  ]);
  return 1000 * seconds.reduce((sum, one) => sum + one, 0);
}

/** Writes that the real API servers have answered so far, their own included. */
export async function writesOf({ api, lab, real }: Cluster): Promise<number> {
  let sum = 0;
  for (const node of lab.controlPlanes)
    sum += writesIn((await api.client.ask('GET', '/metrics', { server: real.serverOf(node) })).body);
  return sum;
}

/** How many requests that change something a metrics page of the API server counts. */
function writesIn(page: string): number {
  const lines = page.matchAll(
    /^apiserver_request_total\{[^}]*verb="(?:PUT|POST|PATCH|DELETE)"[^}]*\} (\S+)/gm,
  );
  return [...lines].reduce((sum, [, value = '0']) => sum + Number(value), 0);
}
