import type { Mutant } from './mutant.ts';

const test = 'test/unit/cli/manifest.test.ts';
const pod = 'src/cli/manifest/pod.ts';
const env = 'src/cli/manifest/env.ts';
const generate = 'src/cli/manifest/generate.ts';

/** Manifests, CP-40 to CP-59. */
export const manifestMutants: readonly Mutant[] = [
  { line: 'CP-40', file: pod, from: 'hostNetwork: true', to: 'hostNetwork: false', test },
  {
    line: 'CP-41',
    file: env,
    from: "    'enableArp',\n    'port',",
    to: "    'port',\n    'enableArp',",
    test,
  },
  {
    line: 'CP-42',
    file: pod,
    from: "if (inCluster) return { ...common, serviceAccountName: 'kube-vip' };",
    to: '',
    test,
  },
  {
    line: 'CP-43',
    file: pod,
    from: 'hostPath: { path: config.k8sConfigFile }',
    to: 'hostPath: { path: kubeconfigMount }',
    test,
  },
  {
    line: 'CP-44',
    file: pod,
    from: "config.loadBalancerForwardingMethod === 'masquerade'",
    to: "config.loadBalancerForwardingMethod === 'local'",
    test,
  },
  {
    line: 'CP-45',
    file: pod,
    from: 'options.taint ? { ...spec, ...onControlPlane } : spec',
    to: 'spec',
    test,
  },
  {
    line: 'CP-46',
    file: pod,
    from: 'selector: { matchLabels: name },',
    to: 'selector: { matchLabels: labels },',
    test,
  },
  {
    line: 'CP-47',
    file: 'src/cli/manifest/rbac.ts',
    from: "name: 'system:kube-vip-role'",
    to: "name: 'kube-vip-role'",
    test,
  },
  {
    line: 'CP-48',
    file: 'src/cli/manifest/rbac.ts',
    from: "role\n    ? { apiGroup, kind: 'Role', name: 'kube-vip' }",
    to: "!role\n    ? { apiGroup, kind: 'Role', name: 'kube-vip' }",
    test,
  },
  {
    line: 'CP-49',
    file: 'src/cli/manifest/image.ts',
    from: 'tag = buildInfo.version',
    to: "tag = 'latest'",
    test,
  },
  {
    line: 'CP-50',
    file: 'src/config/normalize.ts',
    from: 'config.vipSubnet = derivedSubnet(config.address);',
    to: "config.vipSubnet = '32';",
    test,
  },
  { line: 'CP-51', file: env, from: "config.address === '' ? 'vip' : 'address',", to: "'address',", test },
  {
    line: 'CP-52',
    file: env,
    from: "    ...when(\n      config.enableControlPlane,\n      'enableControlPlane',",
    to: "    ...when(\n      true,\n      'enableControlPlane',",
    test,
  },
  {
    line: 'CP-53',
    file: env,
    from: "when(config.loseLeadership, 'loseLeadership', 'loseLeadershipTimeoutSeconds')",
    to: "when(config.loseLeadership, 'loseLeadership')",
    test,
  },
  {
    line: 'CP-54',
    file: env,
    from: "'bgpPeers' ? config.bgpPeers.map(peerText).join(',')",
    to: "'bgpPeers' ? config.bgpPeers.map(peerText).join(' ')",
    test,
  },
  { line: 'CP-55', file: env, from: "config.controlPlaneHealthCheckAddress !== '',", to: 'true,', test },
  { line: 'CP-56', file: generate, from: 'requireEnough(kind, config);\n  if', to: 'if', test },
  {
    line: 'CP-57',
    file: generate,
    from: "kind === 'join' && !fileExists(options.joinConfig)",
    to: 'false',
    test,
  },
  {
    line: 'CP-58',
    file: generate,
    from: "    case 'init':\n    case 'join':\n      return",
    to: "    case 'init':\n      return `---\\n${yaml(pod(config, sources, options))}\\n`;\n    case 'join':\n      return",
    test,
  },
  {
    line: 'CP-59',
    file: pod,
    from: "kind: 'DaemonSet',\n    metadata:",
    to: "kind: 'DaemonSets',\n    metadata:",
    test: 'test/cluster/config/manifests.test.ts',
  },
  {
    line: 'CP-210',
    file: 'src/config/normalize.ts',
    from: 'config.vipSubnet = config.vipCidr;',
    to: '',
    test: 'test/cluster/config/manifests.test.ts',
  },
  {
    line: 'CP-209',
    file: 'src/linux/capabilities.ts',
    from: 'NET_RAW: 13n',
    to: 'NET_RAW: 14n',
    test: 'test/cluster/control-plane/capabilities.test.ts',
  },
  {
    line: 'CP-211',
    file: 'src/election/machine/draft.ts',
    from: 'this.update(base, releaseRecord(this.wall, base.record), Infinity);',
    to: 'void releaseRecord(this.wall, base.record);',
    test: 'test/cluster/control-plane/rollout.test.ts',
  },
];
