import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { writePage } from './page.ts';
import { claimedIds } from './parity/claims.ts';
import { renderParity, unknownIds } from './parity/page.ts';
import type { ParityLines } from './parity/page.ts';

/**
 * `npm run parity` writes docs/parity.md and lists the lines without a test. `--check` only says
 * whether the page is stale, for the gate.
 */
const root = resolve(import.meta.dirname, '..');

function readClaims(): Map<string, string[]> {
  const claims = new Map<string, string[]>();
  const files = globSync(['test/**/*.test.ts', 'src/testing/contract/**/*.ts'], { cwd: root }).sort();
  for (const file of files) {
    for (const id of claimedIds(readFileSync(resolve(root, file), 'utf8'), file)) {
      claims.set(id, [...(claims.get(id) ?? []), file]);
    }
  }
  return claims;
}

const lines = JSON.parse(readFileSync(resolve(root, 'tools/parity/lines.json'), 'utf8')) as ParityLines;
const claims = readClaims();
const unknown = unknownIds(lines, claims);
if (unknown.length > 0) {
  const where = unknown.map((id) => `${id} (${(claims.get(id) ?? []).join(', ')})`);
  console.error(`test titles name ids that tools/parity/lines.json does not have: ${where.join('; ')}`);
  process.exit(1);
}
writePage('docs/parity.md', renderParity(lines, claims), 'parity');
if (!process.argv.includes('--check')) {
  for (const [title, section] of Object.entries(lines)) {
    const open = Object.keys(section).filter((id) => !claims.has(id));
    const proven = Object.keys(section).length - open.length;
    console.log(
      `${title}: ${proven} proven${open.length === 0 ? '' : `, without a test: ${open.join(' ')}`}`,
    );
  }
}
