import { run, tryRun } from './exec.ts';
import { findProgram } from './find-program.ts';

/** Debian package of each program the lab may want. */
export const aptPackages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  tcpdump: 'tcpdump',
  arping: 'arping',
  ndisc6: 'ndisc6',
  conntrack: 'conntrack',
  keepalived: 'keepalived',
  ping: 'iputils-ping',
  openssl: 'openssl',
  nsenter: 'util-linux',
  chrt: 'util-linux',
  setsid: 'util-linux',
  ss: 'iproute2',
  unshare: 'util-linux',
  wrk: 'wrk',
  iperf3: 'iperf3',
  haproxy: 'haproxy',
  nginx: 'nginx-light',
  bird: 'bird2',
  birdc: 'bird2',
  vtysh: 'frr',
  dnsmasq: 'dnsmasq-base',
  ipvsadm: 'ipvsadm',
  'linux.uml': 'user-mode-linux',
  modprobe: 'kmod',
};

/** Services that Debian starts when these are installed; the lab starts its own, in namespaces. */
const startedByDebian = [
  ['keepalived', 'keepalived'],
  ['haproxy', 'haproxy'],
  ['nginx', 'nginx'],
  ['bird', 'bird'],
  ['vtysh', 'frr'],
] as const;

const environment = { DEBIAN_FRONTEND: 'noninteractive' };
let updated: Promise<string> | undefined;

/** Installs the packages of these programs. Returns why it could not, or undefined when all went well. */
export async function installPackages(
  programs: readonly string[],
  say: (line: string) => void,
): Promise<string | undefined> {
  const packages = [...new Set(programs.flatMap((program) => aptPackages[program] ?? []))];
  if (packages.length === 0) return 'no Debian package is known for it';
  if (findProgram('apt-get') === undefined)
    return `there is no apt-get here; install ${packages.join(' ')} by hand`;
  if (process.geteuid?.() !== 0 || process.env['KUBE_VIP_LAB_USERNS'] !== undefined) {
    return `only root can install packages; run: apt-get install ${packages.join(' ')}`;
  }
  try {
    say('apt-get update');
    updated ??= run('apt-get', ['update', '-q'], { env: environment, timeoutMs: 180_000 });
    await updated;
    say(`apt-get install ${packages.join(' ')}`);
    const install = ['install', '-y', '-q', '--no-install-recommends', ...packages];
    await run('apt-get', install, { env: environment, timeoutMs: 300_000 });
    return undefined;
  } catch (error) {
    return `apt-get failed: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const [program, service] of startedByDebian)
      if (programs.includes(program)) await tryRun('service', [service, 'stop']).catch(() => undefined);
  }
}
