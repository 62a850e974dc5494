import type { Family } from '../../lib/ip.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { Kernel } from '../../linux/types.ts';
import { sysctlName } from './names.ts';

/**
 * Makes the kernel pass packets on. It stays so when we end: others on a cluster node need it too.
 * A link that learns its default route from router advertisements would stop doing so once IPv6
 * forwarding is on, unless it is told to go on (accept_ra 2).
 */
export async function enableForwarding(kernel: Kernel, families: readonly Family[]): Promise<void> {
  if (families.includes(4)) ensureSysctl(kernel, 'net.ipv4.ip_forward', '1');
  if (!families.includes(6) || kernel.readSysctl(ipv6Forwarding) === '1') return;
  for (const { name } of await kernel.links()) keepAdvertisements(kernel, name);
  ensureSysctl(kernel, ipv6Forwarding, '1');
}

const ipv6Forwarding = 'net.ipv6.conf.all.forwarding';

function keepAdvertisements(kernel: Kernel, link: string): void {
  const setting = `net.ipv6.conf.${sysctlName(link)}.accept_ra`;
  try {
    if (kernel.readSysctl(setting) === '1') kernel.writeSysctl(setting, '2');
  } catch (error) {
    // The link went away, or has no IPv6.
    if (!isKernelError(error, 'gone')) throw error;
  }
}

/**
 * A translated packet goes back out of the link it came in by, so the kernel would tell clients and
 * servers of a shorter way, which there is not, and would look them up for it with every packet. Other
 * links keep their own setting. It stays so when we end, for what is still translated then.
 */
export function silenceRedirects(kernel: Kernel, link: string): void {
  for (const name of ['all', sysctlName(link)])
    ensureSysctl(kernel, `net.ipv4.conf.${name}.send_redirects`, '0');
}

/** Writes only what is not so already: the tree is read-only in a container that is not privileged. */
export function ensureSysctl(kernel: Kernel, name: string, value: string): void {
  if (kernel.readSysctl(name) !== value) kernel.writeSysctl(name, value);
}
