import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultConfig, settingList, settings, type Config } from '../../../src/config/index.ts';
import { read } from './helpers.ts';
import { referenceRows, type ReferenceRow } from './reference.ts';

function valueOf(config: Config, name: string): unknown {
  return Object.entries(config).find(([key]) => key === name)?.[1];
}

/** A config file in YAML that sets one dotted key. */
function yamlWith(key: string, text: string): string {
  const parts = key.split('.');
  const lines = parts.map((part, depth) => `${'  '.repeat(depth)}${part}:`);
  return `${lines.join('\n')} ${text.startsWith('{') ? text : JSON.stringify(text)}\n`;
}

/** A config file in JSON that sets one dotted key to a value of its own type. */
function jsonWith(key: string, row: ReferenceRow): string {
  const plain = row.type === 'int' || row.type === 'uint' || row.type === 'bool' || row.type === 'json';
  const value: unknown = plain ? JSON.parse(row.sample) : row.sample;
  return JSON.stringify(
    key
      .split('.')
      .reverse()
      .reduce<unknown>((inner, part) => ({ [part]: inner }), value),
  );
}

test('every setting of the original is in the table, and the names are unique', () => {
  const known = new Set(settingList.map(([name]) => name as string));
  assert.deepEqual(
    referenceRows.filter(({ name }) => !known.has(name)).map(({ name }) => name),
    [],
  );
  const names = settingList.flatMap(([, { flags, env, keys }]) => [
    ...flags.map((flag) => `--${flag}`),
    ...env,
    ...keys.map((key) => `key ${key.toLowerCase()}`),
  ]);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

test('defaults are those of the original', () => {
  for (const row of referenceRows) assert.deepEqual(valueOf(defaultConfig, row.name), row.fallback, row.name);
});

test('every setting has a sentence of documentation', () => {
  for (const [name, { doc }] of settingList) assert.match(doc, /^\p{Lu}.*[.]$|^etcd.*[.]$/u, name);
});

test('types are inferred from the table', () => {
  const scheduler: 'rr' | 'wrr' | 'lc' | 'wlc' | 'sh' | 'mh' = defaultConfig.lbScheduler;
  const rate: number = defaultConfig.arpBroadcastRate;
  const arp: boolean = defaultConfig.enableArp;
  assert.deepEqual([scheduler, rate, arp], ['rr', 3000, false]);
  assert.equal(settings.bgpPeerPass.secret, true);
});

describe('SVC-39 every environment variable of the original sets its setting', () => {
  for (const row of referenceRows)
    for (const env of row.env)
      test(`${env}=${row.sample}`, () => {
        const services = row.services === true ? { svc_enable: 'true' } : {};
        const { config, sources, problems } = read({ env: { ...services, [env]: row.sample } });
        assert.deepEqual(problems, []);
        assert.deepEqual(asPlain(valueOf(config, row.name)), asPlain(row.value));
        assert.deepEqual(sourceOf(sources, row.name), { kind: 'env', name: env });
      });
});

describe('SVC-39 every flag of the original sets its setting', () => {
  for (const row of referenceRows.filter(({ flag }) => flag !== ''))
    test(`--${row.flag}=${row.sample}`, () => {
      const { config, sources, problems } = read({ argv: [`--${row.flag}=${row.sample}`] });
      assert.deepEqual(problems, []);
      assert.deepEqual(valueOf(config, row.name), row.value);
      assert.deepEqual(sourceOf(sources, row.name), { kind: 'flag', name: `--${row.flag}` });
      if (row.type === 'bool') return;
      const apart = read({ argv: [`--${row.flag}`, row.sample] });
      assert.deepEqual(valueOf(apart.config, row.name), row.value, 'value as the next argument');
    });
});

test('CP-10 SVC-39 a key of the config file takes effect, in every spelling, in YAML and in JSON, over defaults that are not zero', () => {
  let seen = 0;
  for (const row of referenceRows)
    for (const key of row.keys) {
      const spellings = [key, key.toLowerCase(), key.toUpperCase()];
      for (const spelling of spellings)
        for (const [path, content] of [
          ['c.yaml', yamlWith(spelling, row.sample)],
          ['c.json', jsonWith(spelling, row)],
        ] as const) {
          const { config, sources, problems, warnings } = read({
            argv: ['--config-file', path],
            files: { [path]: content },
          });
          assert.deepEqual(problems, [], content);
          assert.deepEqual(warnings, [], content);
          assert.deepEqual(asPlain(valueOf(config, row.name)), asPlain(row.value), content);
          assert.deepEqual(sourceOf(sources, row.name), { kind: 'file', path, key: spelling });
          seen += 1;
        }
    }
  assert.ok(seen > 500, `${seen} combinations`);
});

/** Maps read from outside have no prototype; that is not what is compared here. */
function asPlain(value: unknown): unknown {
  return JSON.parse(JSON.stringify({ value }));
}

function sourceOf(sources: Readonly<Record<string, unknown>>, name: string): unknown {
  return sources[name];
}
