import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';
import type { ReportLine, TestRecord } from './record.ts';

/** What node:test itself says at the end; our own counts replace it. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** A node:test reporter: one JSON line for every finished test and one at the end, read by run-file.ts. */
export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const event of source) {
    if (event.type === 'test:start') {
      path.length = event.data.nesting;
      path.push(event.data.name);
    }
    if (event.type === 'test:diagnostic' && !SUMMARY.test(event.data.message)) {
      yield line({ note: event.data.message });
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    const isSuite = data.details.type === 'suite';
    const reason = skipReason(data.skip);
    // A suite counts only when it never ran, or when it failed by itself (a hook), not through its tests.
    if (
      isSuite &&
      reason === undefined &&
      !(event.type === 'test:fail' && failedItself(event.data.details.error))
    )
      continue;
    const record: TestRecord = {
      name: [...path.slice(0, data.nesting), data.name].join(' › '),
      outcome: reason !== undefined ? 'skipped' : event.type === 'test:pass' ? 'passed' : 'failed',
      ms: Math.round(data.details.duration_ms),
      ...(reason === undefined ? {} : { reason }),
      ...(event.type === 'test:fail' ? { error: describe(event.data.details.error) } : {}),
    };
    yield line(record);
  }
  yield line({ cpuSeconds: cpuSeconds() });
}

/** USER_HZ, in which /proc tells times; 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** utime, stime, cutime and cstime of proc_pid_stat(5): fields 14 to 17; the second may have blanks and brackets in it. */
function cpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

function line(entry: ReportLine): string {
  return `${JSON.stringify(entry)}\n`;
}

function skipReason(skip: string | boolean | undefined): string | undefined {
  if (skip === undefined || skip === false) return undefined;
  return typeof skip === 'string' && skip !== '' ? skip : 'no reason given';
}

function failedItself(error: Error): boolean {
  return !('failureType' in error) || error.failureType !== 'subtestsFailed';
}

/** The thrown value, its difference when it is an assertion, its causes, and the part of its stack that is ours. */
function describe(error: Error): string {
  const thrown: unknown = error.cause ?? error;
  if (!(thrown instanceof Error)) return inspect(thrown);
  const stack = (thrown.stack ?? thrown.message)
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:/.test(line))
    .join('\n');
  return thrown.cause === undefined ? stack : `${stack}\ncaused by ${inspect(thrown.cause, { depth: 4 })}`;
}
