import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProgram } from './find-program.ts';

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
const insideMark = 'KUBE_VIP_LAB_USERNS';

/** May this process make network namespaces here and now? */
export function isPrivileged(): boolean {
  if (process.geteuid?.() !== 0) return false;
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const effective = BigInt(`0x${match?.[1] ?? '0'}`);
  return ((effective >> CAP_NET_ADMIN) & (effective >> CAP_SYS_ADMIN) & 1n) === 1n;
}

export type Privilege =
  | { readonly how: 'already' }
  | { readonly how: 'user-namespace' }
  | { readonly how: 'none'; readonly because: string };

/** How a lab can run for this user: as it is, in a user namespace of its own, or not at all and why. */
export function privilege(): Privilege {
  if (isPrivileged()) return { how: 'already' };
  if (process.env[insideMark] !== undefined) {
    return { how: 'none', because: 'the user namespace gave no right to make network namespaces' };
  }
  const unshare = findProgram('unshare');
  if (unshare === undefined)
    return { how: 'none', because: 'not root, and `unshare` (util-linux) is missing' };
  const probe = spawnSync(unshare, ['-Urnm', 'true'], { encoding: 'utf8' });
  if (probe.status === 0) return { how: 'user-namespace' };
  return {
    how: 'none',
    because: `not root, and user namespaces are forbidden for this user (${probe.stderr.trim()}); run as root or allow them (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)`,
  };
}

/**
 * Call first in a program that builds a lab. As root it does nothing. Otherwise it runs this very
 * command line again inside a user namespace, hands its output and exit status through, and does
 * not return. Returns the reason when neither is possible.
 */
export function ensurePrivilege(): { readonly because: string } | undefined {
  const found = privilege();
  if (found.how === 'already') return undefined;
  if (found.how === 'none') return { because: found.because };
  // `ip netns` keeps its names below /run/netns, which belongs to the real root: hide it behind our own.
  const enter =
    'if [ -d /run/netns ]; then mount -t tmpfs tmpfs /run/netns; else mount -t tmpfs tmpfs /run && mkdir /run/netns; fi && exec "$@"';
  // Without this a test runner that kills the outer process would leave the inner one running.
  const setpriv = findProgram('setpriv');
  const dieWithParent = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL'];
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawnSync('unshare', ['-Urnm', 'sh', '-c', enter, 'sh', ...dieWithParent, ...self], {
    stdio: 'inherit',
    env: { ...process.env, [insideMark]: '1', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  process.exit(child.status ?? 1);
}
