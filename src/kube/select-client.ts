import { parseIp } from '../lib/ip.ts';
import { parseServer } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';

export const ADMIN_CONF = '/etc/kubernetes/admin.conf';
/** In the certificate of every kubeadm API server, and a host alias of the static Pod. */
export const LOCAL_NAME = 'kubernetes';

/** Settings, environment and the state of the disk, as values. */
export interface ClientInputs {
  readonly electionType: string;
  /** `k8s_config_file`; '' when not set. */
  readonly k8sConfigFile: string;
  /** `kubernetes_addr`; '' when not set. */
  readonly kubernetesAddr: string;
  readonly controlPlane: boolean;
  /** `cp_detect` */
  readonly detectControlPlane: boolean;
  /** `port` of the control plane. */
  readonly port: number;
  /** `$HOME`; '' when not set. */
  readonly home: string;
  /** Which of the files `candidateFiles` names exist. */
  readonly existing: ReadonlySet<string>;
  /** The control-plane VIPs, as configured (addresses or DNS names). */
  readonly vips: readonly string[];
}

/** How the server's address is found when the credentials come from a kubeconfig. */
export type ServerRule =
  | { readonly rule: 'file' }
  | { readonly rule: 'override'; readonly server: string }
  | { readonly rule: 'local'; readonly port: number }
  | { readonly rule: 'detect' };

export type ClientChoice =
  | { readonly source: 'none' }
  | { readonly source: 'in-cluster' }
  | { readonly source: 'kubeconfig'; readonly path: string; readonly server: ServerRule };

function homeConfig(home: string): string {
  return home === '' ? '' : `${home.replace(/\/+$/, '')}/.kube/config`;
}

/** The files whose existence decides, for the caller to look at. */
export function candidateFiles(inputs: Pick<ClientInputs, 'k8sConfigFile' | 'home'>): readonly string[] {
  return [inputs.k8sConfigFile, ADMIN_CONF, homeConfig(inputs.home)].filter((path) => path !== '');
}

/**
 * Which credentials and which server kube-vip uses; the first match wins. The default path must
 * keep the rewrite to the local API server: dialling the VIP would need the election that the call
 * is for, and no cluster could start from cold.
 */
export function selectClient(inputs: ClientInputs): ClientChoice {
  if (inputs.electionType === 'etcd') return { source: 'none' };
  const home = homeConfig(inputs.home);
  const explicit = inputs.k8sConfigFile;
  if (explicit !== ADMIN_CONF && explicit !== home && inputs.existing.has(explicit)) {
    return { source: 'kubeconfig', path: explicit, server: overrideOr({ rule: 'file' }, inputs) };
  }
  if (inputs.existing.has(ADMIN_CONF)) {
    return { source: 'kubeconfig', path: ADMIN_CONF, server: overrideOr(adminRule(inputs), inputs) };
  }
  if (home !== '' && inputs.existing.has(home)) {
    return { source: 'kubeconfig', path: home, server: { rule: 'file' } };
  }
  return { source: 'in-cluster' };
}

function overrideOr(otherwise: ServerRule, inputs: ClientInputs): ServerRule {
  return inputs.kubernetesAddr === '' ? otherwise : { rule: 'override', server: inputs.kubernetesAddr };
}

function adminRule(inputs: ClientInputs): ServerRule {
  if (!inputs.controlPlane) return { rule: 'file' };
  return inputs.detectControlPlane ? { rule: 'detect' } : { rule: 'local', port: inputs.port };
}

/** A server that was chosen, and why when it is not the one asked for. */
export interface ChosenServer {
  readonly server: ServerAddress;
  /** The kubeconfig names one of our own VIPs, so the local API server is used instead. */
  readonly replacedVip: boolean;
}

/**
 * The server for every rule but `detect`. A kubeconfig that names our own VIP (kubeadm writes the
 * control-plane endpoint into super-admin.conf too) gets the local rewrite: never dial the own VIP.
 *
 * @returns undefined when an override is not an address at all.
 */
export function chooseServer(
  rule: Exclude<ServerRule, { rule: 'detect' }>,
  fileServer: ServerAddress,
  inputs: Pick<ClientInputs, 'controlPlane' | 'port' | 'vips'>,
): ChosenServer | undefined {
  if (rule.rule === 'local') return { server: localServer(rule.port), replacedVip: false };
  if (rule.rule === 'override') {
    const server = parseServer(rule.server);
    return server === undefined ? undefined : { server, replacedVip: false };
  }
  const replacedVip = inputs.controlPlane && isVip(fileServer.host, inputs.vips);
  return { server: replacedVip ? localServer(inputs.port) : fileServer, replacedVip };
}

function localServer(port: number): ServerAddress {
  return { scheme: 'https', host: LOCAL_NAME, port, basePath: '' };
}

export function isVip(host: string, vips: readonly string[]): boolean {
  const canonical = canonicalHost(host);
  return vips.some((vip) => canonicalHost(vip) === canonical);
}

function canonicalHost(host: string): string {
  return parseIp(host) ?? host.toLowerCase();
}
