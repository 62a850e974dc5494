import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Writes a generated page; with `--check` on the command line only compares, and ends the process with status 1 when
 * the page is stale.
 *
 * @param page relative to the repository.
 * @param script the npm script that writes it.
 */
export function writePage(page: string, wanted: string, script: string): void {
  const file = resolve(import.meta.dirname, '..', page);
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, wanted);
    return;
  }
  const found = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (found === wanted) return;
  console.error(`${page} is stale: npm run ${script}`);
  process.exit(1);
}
