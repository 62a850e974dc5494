/** How often a property is tried: this often in a test, without end in `npm run fuzz`, which goes by time. */
export function runs(count: number): number {
  return process.env['FUZZ_SECONDS'] === undefined ? count : Number.MAX_SAFE_INTEGER;
}
