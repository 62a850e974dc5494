import { installPackages } from '../components-apt.ts';
import { buildKernel } from './build.ts';
import { findKernel, runInKernel, type TestKernel } from './guest.ts';

/**
 * A kernel that boots here: our own build, made when it is missing (root, apt, some minutes once for each
 * version of its source), or Debian's where that cannot be had, or KUBE_VIP_LAB_KERNEL=debian prefers
 * not to wait for it. Otherwise why there is none.
 */
export async function ensureKernel(
  say: (line: string) => void,
): Promise<TestKernel | { readonly because: string }> {
  if (process.geteuid?.() !== 0 || process.env['KUBE_VIP_LAB_USERNS'] !== undefined) {
    return { because: 'only root can boot another kernel' };
  }
  let found = findKernel();
  if (!isOwn(found) && process.env['KUBE_VIP_LAB_KERNEL'] !== 'debian') {
    try {
      await buildKernel(say);
    } catch (error) {
      say(`the test kernel could not be built: ${error instanceof Error ? error.message : String(error)}`);
    }
    found = findKernel();
  }
  if ('because' in found) {
    const because = await installPackages(['linux.uml', 'modprobe'], say);
    found = findKernel();
    if ('because' in found) return { because: because ?? found.because };
  }
  const { code, console } = await runInKernel({ kernel: found, command: ['true'], timeoutMs: 60_000 });
  return code === 0 ? found : { because: `the test kernel does not boot here: ${console.slice(-500)}` };
}

function isOwn(found: ReturnType<typeof findKernel>): boolean {
  return 'kind' in found && found.kind === 'own build';
}
