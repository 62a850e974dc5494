import { bool, text, type FlagTable } from '../config/index.ts';

export type Action =
  'help' | 'helpOf' | 'manager' | 'service' | 'version' | 'sample' | 'config' | 'unbuilt' | 'completion';

/** One command as a person sees it; what it does is looked up by its action. */
export interface Command {
  readonly name: string;
  readonly doc: string;
  readonly action: Action;
  readonly children: readonly Command[];
  /** Flags beyond those that every command takes. */
  readonly flags: FlagTable;
}

function command(name: string, doc: string, action: Action, more: Partial<Command> = {}): Command {
  return { name, doc, action, children: [], flags: [], ...more };
}

const feature = 'kubernetes';

const generatorFlags: FlagTable = [
  [
    'inCluster',
    bool(false, { flag: 'inCluster', feature, doc: 'Use the service account instead of a kubeconfig.' }),
  ],
  [
    'image',
    text('', { flag: 'image', feature, doc: 'Container image; without a tag this version is added.' }),
  ],
];

const daemonsetFlags: FlagTable = [
  [
    'taint',
    bool(false, { flag: 'taint', feature, doc: 'Run on control-plane nodes only, whatever their taints.' }),
  ],
];

const rbacFlags: FlagTable = [
  ['role', bool(false, { flag: 'role', feature, doc: 'Write a Role instead of a ClusterRole.' })],
  [
    'rolebinding',
    bool(false, {
      flag: 'rolebinding',
      feature,
      doc: 'Write a RoleBinding instead of a ClusterRoleBinding.',
    }),
  ],
];

const joinFlags: FlagTable = [
  [
    'config',
    text('/etc/kubernetes/admin.conf', { flag: 'config', feature, doc: 'The kubeconfig, which must exist.' }),
  ],
];

const manifest = command('manifest', 'Write Kubernetes manifests', 'help', {
  flags: generatorFlags,
  children: [
    command('pod', 'Write a Pod manifest', 'unbuilt', { flags: generatorFlags }),
    command('daemonset', 'Write a DaemonSet manifest', 'unbuilt', {
      flags: [...generatorFlags, ...daemonsetFlags],
    }),
    command('rbac', 'Write the ServiceAccount, roles and bindings', 'unbuilt', {
      flags: [...generatorFlags, ...rbacFlags],
    }),
  ],
});

const kubeadm = command('kubeadm', 'Write static Pod manifests for kubeadm', 'help', {
  children: [
    command('init', 'Write the manifest for the first control-plane node', 'unbuilt'),
    command('join', 'Write the manifest for a node that joins', 'unbuilt', { flags: joinFlags }),
  ],
});

const completion = command('completion', 'Write a completion script for a shell', 'help', {
  children: ['bash', 'zsh', 'fish'].map((shell) =>
    command(shell, `Write the script for ${shell}`, 'completion'),
  ),
});

/** The whole command line. */
export const root: Command = command(
  'kube-vip',
  'Virtual IPs and load balancing for Kubernetes clusters',
  'help',
  {
    children: [
      command('manager', 'Run the daemon', 'manager'),
      command('service', 'Run the daemon without the metrics listener (older entry point)', 'service'),
      manifest,
      kubeadm,
      command(
        'config',
        'Check the settings and print those that are not defaults, with their sources',
        'config',
      ),
      command('sample', 'Print this command’s help', 'sample'),
      command('version', 'Print the version', 'version'),
      completion,
      command('help', 'Print the help of a command', 'helpOf'),
    ],
  },
);

/** The command named by the first words, as the path from the root to it. */
export function findCommand(words: readonly string[]): readonly [Command, ...Command[]] {
  const path: [Command, ...Command[]] = [root];
  for (const word of words) {
    const child = path.at(-1)?.children.find(({ name }) => name === word);
    if (child === undefined) break;
    path.push(child);
  }
  return path;
}

/** The flags of every command together: enough to tell flags, their values and words apart. */
export function allCommandFlags(from: Command = root): FlagTable {
  return [...from.flags, ...from.children.flatMap(allCommandFlags)];
}
