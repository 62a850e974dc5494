import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findKernel, runInKernel, type TestKernel } from '../../lab/kernel/index.ts';

/*
 * A test file that needs another kernel than that of this machine boots one and runs itself inside;
 * every test inside is one here.
 */

export const isInside = process.env['IN_TEST_KERNEL'] === '1';
/** Inside only. Debian's kernel has IPVS and no nf_tables. */
export const hasTables = process.env['TEST_KERNEL_KIND'] === 'own build';

/** Runs the file at this URL in a kernel, once for each name, with these variables. */
export function runInside(
  url: string,
  runs: Readonly<Record<string, Readonly<Record<string, string>>>>,
): void {
  const kernel = findKernel();
  for (const [name, env] of Object.entries(runs)) {
    if ('because' in kernel) test(name, { skip: kernel.because }, () => undefined);
    else boot(name, url, kernel, env);
  }
}

function boot(name: string, url: string, kernel: TestKernel, env: Readonly<Record<string, string>>): void {
  describe(name, async () => {
    // The runner inside must not take itself for a child of the runner outside.
    const outside = ['env', '-u', 'NODE_TEST_CONTEXT'];
    const inside = [process.execPath, '--test', '--test-reporter=tap', fileURLToPath(url)];
    const result = await runInKernel({
      kernel,
      command: [...outside, ...inside],
      env: { ...env, TEST_KERNEL_KIND: kernel.kind },
    });
    const results = [...result.output.matchAll(/^ *(not ok|ok) \d+ - (.*?)(?: # time.*)?\r?$/gm)];
    test('the tests ran', () => {
      assert.notEqual(results.length, 0, `${result.output}\n${result.console}`);
      const hasFailed = results.some(([, outcome]) => outcome === 'not ok');
      assert.equal(result.code, hasFailed ? 1 : 0, `${result.output.slice(-4000)}\n${result.console}`);
    });
    for (const match of results) {
      const [, outcome, title = ''] = match;
      test(title, () => {
        assert.equal(outcome, 'ok', result.output.slice(match.index, match.index + 4000));
      });
    }
  });
}
