import type { StatusDocument } from './status.ts';

type Lists = 'vips' | 'leases' | 'timers' | 'counters';
const lists: ReadonlySet<string> = new Set<Lists>(['vips', 'leases', 'timers', 'counters']);

/** The document as `JSON.stringify` with two spaces writes it, in small pieces. */
export function* statusJson(document: StatusDocument): Generator<string> {
  let before = '{';
  for (const [name, value] of Object.entries(document)) {
    if (value === undefined) continue;
    yield `${before}\n  ${JSON.stringify(name)}: `;
    before = ',';
    if (lists.has(name)) yield* list(value as Iterable<unknown>);
    else yield indented(value, '  ');
  }
  yield '\n}\n';
}

function* list(items: Iterable<unknown>): Generator<string> {
  let before = '[';
  for (const item of items) {
    yield `${before}\n    ${indented(item, '    ')}`;
    before = ',';
  }
  yield before === '[' ? '[]' : '\n  ]';
}

function indented(value: unknown, by: string): string {
  return JSON.stringify(value, undefined, 2).replaceAll('\n', `\n${by}`);
}
