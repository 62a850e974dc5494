import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { settingList } from '../../src/config/index.ts';

/**
 * What the pages written by hand name has to exist. The decisions in docs/adr are left out: they also
 * speak of what was turned down, and are never rewritten.
 */
const root = resolve(import.meta.dirname, '../..');
const found = (pattern: string): string[] => globSync(pattern, { cwd: root });
const read = (file: string): string => readFileSync(resolve(root, file), 'utf8');

const pages = ['README.md', 'CONTRIBUTING.md', ...found('{docs,examples/*}/*.md')].filter(
  (page) => page !== 'docs/parity.md',
);
const sources = found('{src,lab,bench,tools,test,examples}/**/*.{ts,yaml,json}').filter(
  (file) => !file.startsWith('test/arch/'),
);
const fileNames = new Set(sources.map((file) => basename(file)));
const words = new Set(sources.flatMap((file) => read(file).match(/\w+/g) ?? []));
const settings = new Set(settingList.flatMap(([, { env, keys }]) => [...env, ...keys]));
const metrics = read('docs/reference/metrics.md');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** Functions of the Linux kernel, a resource of the Kubernetes API, and what a fresh clone does not have yet. */
const foreign = new Set([
  'find_matching_ifa',
  '__inet_insert_ifa',
  'fib_sync_up',
  'services/status',
  'bench/results/',
]);

/** One rule for each form that a word in `code` can have; the first whose form fits decides. */
const rules: readonly (readonly [form: RegExp, exists: (word: string, page: string) => boolean])[] = [
  [/^\.?[a-z][\w-]*(\/[\w-]+)+\/?(\.[a-z]+)?$|^[\w-]+\.(ts|md|json|yaml)$/, isFile],
  [/^kube_vip_[a-z_]+$/, (word) => metrics.includes(`\`${word}\``)],
  [/^(vip|cp|svc|lb|bgp|dhcp|enable|prometheus)_[a-z_]+$/, (word) => settings.has(word)],
  [/^_*[a-z]+_[a-z_]+$|^[A-Za-z]+[a-z][A-Z]\w*$/, (word) => words.has(word)],
];

function isFile(word: string, page: string): boolean {
  const folders = ['', 'src', 'src/node', dirname(page)];
  const isThere = (path: string): boolean => folders.some((folder) => found(join(folder, path)).length > 0);
  const [first = ''] = word.split('/', 1);
  // Kubernetes' names have a slash, too: `kube-system/kubevip`.
  const isName = !/\.[a-z]+$/.test(word) && !isThere(first);
  return isName || fileNames.has(word) || isThere(word);
}

/** The words in `code` of a page, those in blocks left out: blocks hold commands and drawings. */
function codeWords(text: string): string[] {
  const prose = text.replaceAll(/^ *```[^]*?^ *```$/gm, '');
  return [...prose.matchAll(/`([^`]+)`/g)].flatMap(([, span = '']) =>
    span.split(/[^\w./-]+|\.(?=[a-z]+[A-Z(])/),
  );
}

function missing(page: string, text: string): string[] {
  return codeWords(text).filter((word) => {
    const rule = foreign.has(word) ? undefined : rules.find(([form]) => form.test(word));
    return rule !== undefined && !rule[1](word, page);
  });
}

describe('what the pages name exists', () => {
  for (const page of pages) {
    const text = read(page);
    test(`${page}: files, settings, metrics, functions`, () => {
      assert.deepEqual(missing(page, text), []);
    });
    test(`${page}: links`, () => {
      const targets = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, target = '']) => target);
      assert.deepEqual(
        targets.filter((target) => found(join(dirname(page), target)).length === 0),
        [],
      );
    });
    test(`${page}: what its examples in TypeScript import and call`, () => {
      const blocks = [...text.matchAll(/^```ts$([^]*?)^```$/gm)].map(([, block = '']) => block).join();
      const named = [...blocks.matchAll(/\.(\w+)\(|\b([A-Z]\w+)\b(?=.* from )/g)].map(
        ([, call, type]) => call ?? type ?? '',
      );
      assert.deepEqual(
        named.filter((name) => !words.has(name)),
        [],
      );
    });
    test(`${page}: npm scripts`, () => {
      const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, script = '']) => script);
      assert.deepEqual(
        named.filter((script) => !(script in scripts)),
        [],
      );
    });
  }

  test('the rooms drawn in docs/architecture.md are those of src', () => {
    const house = /^src\/\n(.*?)^lab\//ms.exec(read('docs/architecture.md'))?.[1] ?? '';
    const drawn = [...house.matchAll(/^ {2}(\S+)/gm)].map(([, name = '']) => name.replace('/', ''));
    assert.deepEqual(
      drawn.toSorted(),
      found('src/*')
        .map((path) => basename(path))
        .toSorted(),
    );
  });

  const invented = [
    '`src/lib/nothing.ts`',
    '`nothing-at-all.ts`',
    '`vip_nothing_at_all`',
    '`kube_vip_nothing_total`',
    '`nothingOfTheKind()`',
  ];
  for (const code of invented) {
    test(`${code} does not`, () => {
      assert.equal(missing('README.md', `a word, ${code}, in a page`).length, 1);
    });
  }
});
