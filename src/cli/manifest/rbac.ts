import type { Config } from '../../config/index.ts';
import { manifestNamespace } from './pod.ts';

export interface RbacOptions {
  /** A Role (and RoleBinding) instead of a ClusterRole. */
  readonly role: boolean;
  /** A RoleBinding, to the ClusterRole unless `role`. */
  readonly roleBinding: boolean;
}

const apiGroup = 'rbac.authorization.k8s.io';
const apiVersion = `${apiGroup}/v1`;

/** What the daemon may do in a cluster: the account, its role, and their binding. */
export function rbac(config: Config, { role, roleBinding }: RbacOptions): readonly object[] {
  const namespace = manifestNamespace(config);
  const account = { kind: 'ServiceAccount', name: 'kube-vip' };
  const roleRef = role
    ? { apiGroup, kind: 'Role', name: 'kube-vip' }
    : { apiGroup, kind: 'ClusterRole', name: 'system:kube-vip-role' };
  const namespaced = role || roleBinding;
  return [
    { apiVersion: 'v1', kind: account.kind, metadata: { name: account.name, namespace } },
    {
      apiVersion,
      kind: roleRef.kind,
      metadata: { name: roleRef.name, ...(role ? { namespace } : {}) },
      rules: [
        ...namespacedRules,
        ...(config.servicesIpam ? [poolsRule] : []),
        ...(role ? [] : [clusterRule]),
      ],
    },
    {
      apiVersion,
      kind: namespaced ? 'RoleBinding' : 'ClusterRoleBinding',
      metadata: namespaced ? { name: 'kube-vip', namespace } : { name: 'system:kube-vip-binding' },
      roleRef,
      subjects: [namespaced ? account : { ...account, namespace }],
    },
  ];
}

function rule(group: string, resources: readonly string[], verbs: string): object {
  return { apiGroups: [group], resources, verbs: verbs.split(' ') };
}

const namespacedRules: readonly object[] = [
  rule('', ['services/status'], 'update patch'),
  rule('', ['services', 'endpoints'], 'list get watch update'),
  rule('', ['nodes'], 'list get watch update patch'),
  rule('coordination.k8s.io', ['leases'], 'list get watch update create'),
  rule('discovery.k8s.io', ['endpointslices'], 'list get watch update'),
  rule('', ['pods'], 'list'),
  rule('', ['events'], 'create patch'),
];

/** Of a manager that assigns addresses. */
const poolsRule = rule('', ['configmaps'], 'list get watch create');

const clusterRule = rule('networking.k8s.io', ['servicecidrs'], 'list get watch');
