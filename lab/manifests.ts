import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { projectRoot } from './components.ts';
import { run } from './exec.ts';
import type { Machine } from './machine.ts';

/**
 * What `kube-vip manifest rbac` grants, and where it is created: nothing else, so that a missing right shows in the lab. With those of a
 * manager that assigns addresses.
 */
export async function kubeVipRights(): Promise<
  readonly { readonly path: string; readonly object: object }[]
> {
  const args = [path.join(projectRoot, 'src', 'main.ts'), 'manifest', 'rbac'];
  const env = { svc_enable: 'true', svc_ipam: 'true', vip_interface: 'eth0', address: '192.0.2.1' };
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const paths = new Map([
    ['ClusterRole', `${rbac}/clusterroles`],
    ['ClusterRoleBinding', `${rbac}/clusterrolebindings`],
    ['ServiceAccount', '/api/v1/namespaces/kube-system/serviceaccounts'],
  ]);
  return parseAllDocuments(await run(process.execPath, args, { env })).map((document) => {
    const object = document.toJS() as { readonly kind: string };
    const where = paths.get(object.kind);
    if (where === undefined) throw new Error(`manifest rbac: what is a ${object.kind}?`);
    return { path: where, object };
  });
}

/** A Node as a kubelet would register it. */
export function nodeObject(machine: Machine): object {
  const labels = { 'kubernetes.io/hostname': machine.name, 'kubernetes.io/os': 'linux' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: machine.name,
      labels:
        machine.role === 'control-plane'
          ? { ...labels, 'node-role.kubernetes.io/control-plane': '' }
          : labels,
    },
    spec: {},
  };
}

/** Its status: addresses, and Ready by a heartbeat of now. */
export function nodeStatus(machine: Machine, isReady = true): object {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    status: {
      addresses: [
        { type: 'InternalIP', address: machine.ipv4 },
        { type: 'InternalIP', address: machine.ipv6 },
        { type: 'Hostname', address: machine.name },
      ],
      conditions: [
        {
          type: 'Ready',
          status: isReady ? 'True' : 'False',
          reason: 'Lab',
          message: 'set by the lab',
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
    },
  };
}
