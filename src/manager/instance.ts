import { createHash } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { servicesMarks } from '../node/index.ts';

/** Instances with a namespace or a name of their own leave one another's VIPs alone. */
export function servicesMark({ instanceName, serviceNamespace }: Config): number {
  const { usual, first, last } = servicesMarks;
  if (instanceName === '' && serviceNamespace === '') return usual;
  const digest = createHash('sha256').update(`${instanceName}/${serviceNamespace}`).digest();
  return first + (digest.readUInt32BE(0) % (last - first + 1));
}

/** Name of the nf_tables tables that guard the VIPs of Services; the mark tells instances apart. */
export function guardTable(config: Config): string {
  const mark = servicesMark(config);
  return mark === servicesMarks.usual ? 'kube-vip-guard' : `kube-vip-guard-${mark}`;
}
