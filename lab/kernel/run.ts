// node lab/kernel/run.ts [-- ] COMMAND...: runs a command in the test kernel; exits with its status.
import { parseArgs } from 'node:util';
import { findKernel, runInKernel } from './guest.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { debian: { type: 'boolean', default: false }, seconds: { type: 'string', default: '300' } },
});
const kernel = values.debian ? ({ path: '/usr/bin/linux.uml', kind: 'debian' } as const) : findKernel();
if ('because' in kernel) throw new Error(kernel.because);
const result = await runInKernel({ kernel, command: positionals, timeoutMs: Number(values.seconds) * 1000 });
process.stdout.write(result.output);
if (result.code === undefined) console.error(result.console);
process.exitCode = result.code ?? 125;
