import fc from 'fast-check';

/** Loaded before a test file by `npm run fuzz`: every property runs for a time instead of a number of runs (`src/testing/runs.ts`). */
const seconds = (process.env['FUZZ_SECONDS'] ??= '5');
fc.configureGlobal({
  numRuns: Number.MAX_SAFE_INTEGER,
  // Plugins, which are to replace these two, cannot be set globally yet.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  interruptAfterTimeLimit: Number(seconds) * 1000,
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  markInterruptAsFailure: false,
});
