import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** The gate for CHANGELOG.md: an unreleased section with at least one line in it. */
const path = resolve(import.meta.dirname, '../CHANGELOG.md');
const text = readFileSync(path, 'utf8');
const unreleased = /^## Unreleased\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(text)?.[1];
if (unreleased === undefined) {
  console.error('CHANGELOG.md has no "## Unreleased" section');
  process.exit(1);
}
if (!/^- \S/m.test(unreleased)) {
  console.error('the "## Unreleased" section of CHANGELOG.md says nothing');
  process.exit(1);
}
