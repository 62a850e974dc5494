import { settings, type Config, type SettingName, type Sources } from '../../config/index.ts';
import { imageWithTag } from './image.ts';

const apiGroup = 'rbac.authorization.k8s.io';
const apiVersion = `${apiGroup}/v1`;
const account = { name: 'kube-vip-cloud-controller', namespace: 'kube-system' };
const labels = { app: 'kube-vip', component: 'kube-vip-cloud-provider' };
const role = 'system:kube-vip-cloud-controller-role';
const roles = ['control-plane', 'master'].map((name) => `node-role.kubernetes.io/${name}`);

/** The address controller with the names of kube-vip-cloud-provider, so that applying it replaces that one. */
export function cloudController(config: Config, sources: Sources, image: string): readonly object[] {
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: account },
    { apiVersion, kind: 'ClusterRole', metadata: { name: role }, rules },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:kube-vip-cloud-controller-binding' },
      roleRef: { apiGroup, kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', ...account }],
    },
    deployment(config, sources, image),
  ];
}

function deployment(config: Config, sources: Sources, image: string): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'kube-vip-cloud-provider', namespace: account.namespace, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec(config, sources, image) },
    },
  };
}

function podSpec(config: Config, sources: Sources, image: string): object {
  return {
    serviceAccountName: account.name,
    containers: [
      {
        name: 'kube-vip-cloud-provider',
        image: imageWithTag(image),
        imagePullPolicy: 'IfNotPresent',
        args: [
          'cloud-controller',
          `--leader-elect-resource-name=${config.ipamLeaseName}`,
          ...(config.ipamLeaseNamespace === settings.ipamLeaseNamespace.default
            ? []
            : [`--leader-elect-resource-namespace=${config.ipamLeaseNamespace}`]),
        ],
        env: environment.flatMap((name) => variable(name, config, sources)),
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
    tolerations: roles.map((key) => ({ key, effect: 'NoSchedule', operator: 'Exists' })),
    affinity: {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: roles.map((key) => ({
          weight: 10,
          preference: { matchExpressions: [{ key, operator: 'Exists' }] },
        })),
      },
    },
  };
}

/** What the Pod is told when somebody chose it. */
const environment = [
  'ipamNamespace',
  'ipamConfigMap',
  'ipamClassEnabled',
  'ipamClassName',
  'prometheusHttpServer',
  'logging',
  'logFormat',
] as const satisfies readonly SettingName[];

function variable(name: (typeof environment)[number], config: Config, sources: Sources): readonly object[] {
  const [env] = settings[name].env;
  return sources[name].kind === 'default' ? [] : [{ name: env, value: String(config[name]) }];
}

function rule(group: string, resources: readonly string[], verbs: string): object {
  return { apiGroups: [group], resources, verbs: verbs.split(' ') };
}

const rules: readonly object[] = [
  rule('coordination.k8s.io', ['leases'], 'get list watch create update'),
  rule('', ['configmaps'], 'get list watch create'),
  rule('', ['events'], 'create patch'),
  rule('', ['nodes'], 'get list watch'),
  rule('', ['services'], 'get list watch update'),
];
