import { createMetrics } from '../src/observe/index.ts';
import { writePage } from './page.ts';

/** Writes docs/reference/metrics.md from the declarations; `--check` fails when the page is stale. */
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

writePage('docs/reference/metrics.md', render(), 'docs');
