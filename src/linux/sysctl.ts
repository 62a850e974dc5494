import { readFileSync, writeFileSync } from 'node:fs';
import { errnoOf, KernelError } from './errors.ts';
import type { KernelOp } from './types.ts';

const root = '/proc/sys/';

/**
 * The file of a setting. Dots separate, and a `/` stands for a dot inside a part, as in sysctl(8):
 * `net.ipv4.conf.eth0/100.arp_ignore` is the setting of the link `eth0.100`.
 */
export function sysctlPath(name: string): string {
  const parts = name.split('.').map((part) => part.replaceAll('/', '.'));
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new RangeError(`not a sysctl name: ${name}`);
  }
  return root + parts.join('/');
}

/** The value without its final newline; throws KernelError `gone` when there is no such setting or link. */
export function readSysctl(name: string): string {
  return attempt('read sysctl', name, () => readFileSync(sysctlPath(name), 'utf8').trimEnd());
}

export function writeSysctl(name: string, value: string): void {
  // Flag r+: a missing file is an error and not created, a file under /proc/sys cannot be truncated.
  attempt('write sysctl', name, () => writeFileSync(sysctlPath(name), value, { flag: 'r+' }));
}

function attempt<T>(op: KernelOp, object: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') throw error;
    throw new KernelError({ op, errno: Math.abs(error.errno) || errnoOf.EIO, object });
  }
}
