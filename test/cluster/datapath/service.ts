import assert from 'node:assert/strict';
import {
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  ensurePrivilege,
  whyMissing,
  type DataPath,
  type LoadReport,
} from '../../../lab/index.ts';

/** Why these tests cannot run here, or false. */
export async function whySkipped(): Promise<string | false> {
  const refused = ensurePrivilege();
  const programs = await ensureComponents([...clusterPrograms, ...dataPathPrograms], { install: false });
  return refused?.because ?? whyMissing(programs) ?? false;
}

export const namespace = 'shop';

/** Few enough a second for a machine that is ten times slower, and time enough for one that stands still. */
export const patientLoad = { perSecond: 50, timeoutMs: 20_000 };

/** No lease is lost while a machine stands still for some seconds. */
export const patientLease = { duration: 30, renewDeadline: 20, retryPeriod: 2 };

/**
 * No request failed, and no SYN was lost. One is sent again after a second without an answer: as many as were on
 * their way while the machine itself stood still do not count.
 */
export function assertNothingLost({ failed, synRetransmits, ownStallMs }: LoadReport): void {
  assert.deepEqual(failed, []);
  const stalled = ownStallMs < 500 ? 0 : Math.ceil((ownStallMs / 1000) * patientLoad.perSecond);
  assert.ok(synRetransmits <= stalled, `${synRetransmits} SYNs lost, stall of ${ownStallMs} ms`);
}

export interface ServiceWish {
  readonly name: string;
  readonly vip: string;
  readonly policy?: 'Cluster' | 'Local';
  readonly port?: number;
  /** Label `app` of its pods; default: its name. */
  readonly app?: string;
}

export async function createNamespace({ cluster }: DataPath): Promise<void> {
  await cluster.api.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
}

/** A Service of type LoadBalancer in front of the pods with its label; the controllers do the rest. */
export async function createService({ cluster }: DataPath, wish: ServiceWish): Promise<void> {
  const { name, vip, policy = 'Cluster', port = 80, app = name } = wish;
  await cluster.api.client.create(`/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations: { 'kube-vip.io/loadbalancerIPs': vip } },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: policy,
      selector: { app },
      ports: [{ name: 'http', port, targetPort: 8080 }],
    },
  });
}

export async function deleteService({ cluster }: DataPath, name: string): Promise<void> {
  await cluster.api.client.delete(`/api/v1/namespaces/${namespace}/services/${name}`);
}
