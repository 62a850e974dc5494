import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createMetrics } from '../src/observe/index.ts';

/** Writes docs/reference/metrics.md from the declarations; `--check` fails when the page is stale. */
const page = resolve(import.meta.dirname, '../docs/reference/metrics.md');

const introduction = `# Metrics

<!-- Written by tools/docs-metrics.ts from src/observe/metrics.ts. Do not edit; run: npm run docs -->

Served as \`/metrics\` by the listener of \`prometheus_server\` (default \`:2112\`), in Prometheus' text format. A metric whose part of the
program is not at work has its HELP and TYPE lines and no series. Series go with the thing they measure.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
`;

function render(): string {
  const rows = createMetrics()
    .all()
    .map(({ declaration: { name, type, labels, help } }) => {
      const names = labels.map((label) => `\`${label}\``).join(', ');
      return `| \`${name}\` | ${type} | ${names} | ${help} |\n`;
    });
  return introduction + rows.join('');
}

const wanted = render();
if (process.argv.includes('--check')) {
  const found = existsSync(page) ? readFileSync(page, 'utf8') : '';
  if (found !== wanted) {
    console.error('docs/reference/metrics.md is stale: npm run docs');
    process.exit(1);
  }
} else {
  mkdirSync(dirname(page), { recursive: true });
  writeFileSync(page, wanted);
}
