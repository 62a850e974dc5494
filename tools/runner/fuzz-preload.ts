import fc from 'fast-check';

/** Loaded before a test file by `npm run fuzz`: every property runs for a time instead of a number of runs. */
const seconds = Number(process.env['FUZZ_SECONDS'] ?? '5');
fc.configureGlobal({
  numRuns: Number.MAX_SAFE_INTEGER,
  // The plugin that is to replace these two is not in this release yet.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  interruptAfterTimeLimit: seconds * 1000,
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  markInterruptAsFailure: false,
});
