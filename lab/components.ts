import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { aptPackages, installPackages } from './components-apt.ts';
import { buildGoProgram, findGoProgram, goPrograms } from './components-go.ts';
import { findProgram, isExecutable } from './find-program.ts';

/** Where a real part is, or why it is not. */
export type Component =
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly missing: true; readonly because: string };

export interface EnsureOptions {
  /** Install and build what is missing; default true. */
  readonly install?: boolean;
  /** Told what is about to happen, one line each. */
  readonly say?: (line: string) => void;
}

/** What most lab tests judge with. */
export const networkTools = [
  'ip',
  'nsenter',
  'nft',
  'tcpdump',
  'arping',
  'ndisc6',
  'conntrack',
  'ping',
] as const;
/** What a real control plane consists of. */
export const clusterPrograms = ['etcd', 'kube-apiserver', 'kubectl'] as const;
/** Routers that BGP is spoken with. */
export const routers = ['bird', 'birdc', 'vtysh'] as const;
/** Where names and addresses come from. */
export const nameServers = ['dnsmasq'] as const;
/** From the VIP to the pod, see datapath/. */
export const dataPathPrograms = ['kube-controller-manager', 'kube-proxy'] as const;
/** For the comparison in the benchmark. */
export const peerTools = ['keepalived'] as const;

/** Looks without changing anything. KUBEBUILDER_ASSETS (a folder) wins, then our own build, then PATH. */
export function findComponent(name: string): Component {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets !== undefined && name in goPrograms) {
    const file = path.join(assets, name);
    if (isExecutable(file)) return { name, path: file };
  }
  if (name in goPrograms) return findGoProgram(name);
  const found = findProgram(name);
  if (found !== undefined) return { name, path: found };
  const debianPackage = aptPackages[name];
  const hint = debianPackage === undefined ? '' : ` (Debian package ${debianPackage})`;
  return { name, missing: true, because: `no \`${name}\` in PATH${hint}` };
}

/**
 * Finds the named parts, and installs or builds those that are missing where this machine allows it (packages: as
 * root with apt; Kubernetes and etcd: with a Go toolchain). Never throws for a part that cannot be had: says why.
 */
export async function ensureComponents(
  names: readonly string[],
  options: EnsureOptions = {},
): Promise<readonly Component[]> {
  const say = options.say ?? (() => undefined);
  const reasons = new Map<string, string>();
  if (options.install !== false) {
    const missing = names.filter((name) => 'missing' in findComponent(name));
    const packaged = missing.filter((name) => !(name in goPrograms));
    if (packaged.length > 0) {
      const because = await installPackages(packaged, say);
      if (because !== undefined) for (const name of packaged) reasons.set(name, because);
    }
    for (const name of missing.filter((each) => each in goPrograms)) {
      const because = await buildGoProgram(name, say);
      if (because !== undefined) reasons.set(name, because);
    }
  }
  return names.map((name) => {
    const found = findComponent(name);
    return 'missing' in found ? { ...found, because: reasons.get(name) ?? found.because } : found;
  });
}

/** Path of a part that must be there; an Error says why it is not. */
export function requireComponent(name: string): string {
  const found = findComponent(name);
  if ('missing' in found) throw new Error(`the lab needs ${name}: ${found.because}; run \`npm run setup\``);
  return found.path;
}

/** One sentence for a skipped test, or undefined when all are there. */
export function whyMissing(components: readonly Component[]): string | undefined {
  const reasons = components.flatMap((each) => ('missing' in each ? [`${each.name}: ${each.because}`] : []));
  return reasons.length === 0 ? undefined : reasons.join('; ');
}

/** Root of the checkout, for programs that run from it. */
export const projectRoot = fileURLToPath(new URL('..', import.meta.url));
