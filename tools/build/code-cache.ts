import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { codeCacheOf, compileBundle, runBundle } from '../../src/bundle.ts';

/**
 * Started by tools/build.ts under V8's flags of the launcher. Runs the bundle up to where it would call an API server, and keeps
 * what V8 compiled of it until then. The controller has all modules of the daemon and touches no kernel.
 */
const bundle = resolve(process.argv[2] ?? '');
const scratch = mkdtempSync(join(tmpdir(), 'kube-vip-build-'));
const kubeconfig = join(scratch, 'kubeconfig');
// Read whole, like any other, and refused at its end.
writeFileSync(
  kubeconfig,
  `apiVersion: v1
kind: Config
current-context: here
contexts:
  - name: here
    context: { cluster: here, user: me }
clusters:
  - name: here
    cluster:
      server: https://192.0.2.1:6443
      certificate-authority: nowhere.crt
users:
  - name: me
    user:
      client-certificate: nowhere.crt
      client-key: nowhere.key
`,
);
const script = compileBundle(bundle);
process.on('exit', () => {
  rmSync(scratch, { recursive: true });
  writeFileSync(codeCacheOf(bundle), script.createCachedData());
  process.exitCode = 0;
});
process.argv.splice(1, process.argv.length, bundle, 'cloud-controller', '--kubeconfig', kubeconfig);
runBundle(script, bundle);
