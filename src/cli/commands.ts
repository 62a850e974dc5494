import type { FlagTable } from '../config/index.ts';
import type { ManifestKind } from './manifest/generate.ts';
import { controllerSettings } from './controller-flags.ts';
import { generatorSettings, type GeneratorSetting } from './manifest/flags.ts';

export type Action =
  | ManifestKind
  | 'help'
  | 'helpOf'
  | 'manager'
  | 'service'
  | 'cloudController'
  | 'config'
  | 'version'
  | 'sample'
  | 'completion';

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

/** Some of the generators' own flags. */
function own(...names: GeneratorSetting[]): { readonly flags: FlagTable } {
  return { flags: names.map((name) => [name, generatorSettings[name]]) };
}

const manifest = command('manifest', 'Write Kubernetes manifests', 'help', {
  ...own('inCluster', 'image'),
  children: [
    command('pod', 'Write a Pod manifest', 'pod', own('inCluster', 'image')),
    command('daemonset', 'Write a DaemonSet manifest', 'daemonset', own('inCluster', 'image', 'taint')),
    command(
      'rbac',
      'Write the ServiceAccount, roles and bindings',
      'rbac',
      own('inCluster', 'image', 'role', 'rolebinding'),
    ),
    command(
      'cloud-controller',
      'Write the Deployment of the address controller with its ServiceAccount, role and binding',
      'cloud-controller',
      own('image'),
    ),
  ],
});

const kubeadm = command('kubeadm', 'Write static Pod manifests for kubeadm', 'help', {
  children: [
    command('init', 'Write the manifest for the first control-plane node', 'init', own('image')),
    command('join', 'Write the manifest for a node that joins', 'join', own('image', 'config')),
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
      command(
        'cloud-controller',
        'Give Services of type LoadBalancer their addresses (kube-vip-cloud-provider)',
        'cloudController',
        { flags: Object.entries(controllerSettings) },
      ),
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
