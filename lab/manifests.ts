import type { Machine } from './machine.ts';

/** What kube-vip's own RBAC manifest grants, so that a missing right shows in the lab. */
export const kubeVipRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'system:kube-vip-role' },
  rules: [
    { apiGroups: [''], resources: ['services/status'], verbs: ['update', 'patch'] },
    {
      apiGroups: [''],
      resources: ['services', 'endpoints'],
      verbs: ['list', 'get', 'watch', 'update', 'patch'],
    },
    { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'get', 'watch', 'update', 'patch'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['list', 'get', 'watch', 'update', 'create', 'patch'],
    },
    {
      apiGroups: ['discovery.k8s.io'],
      resources: ['endpointslices'],
      verbs: ['list', 'get', 'watch', 'update'],
    },
  ],
};

export function kubeVipRoleBinding(user: string): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'system:kube-vip-binding' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: kubeVipRole.metadata.name },
    subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
  };
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
