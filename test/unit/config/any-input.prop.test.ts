import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, settingList, UsageError } from '../../../src/config/index.ts';
import { parseGoBool, parseGoDuration, parseGoInt } from '../../../src/config/go-syntax.ts';
import { parseVips } from '../../../src/config/vips.ts';
import { runs } from '../../../src/testing/runs.ts';
import { loadConfig } from './helpers.ts';

const envNames = settingList.flatMap(([, { env }]) => env);
const flagNames = settingList.flatMap(([, { flags }]) => flags.map((flag) => `--${flag}`));
const keys = settingList.flatMap(([, setting]) => setting.keys);
const words = [
  '',
  'true',
  'false',
  '0',
  '-1',
  '65535',
  '192.0.2.1',
  '::1',
  'a,b',
  '{}',
  '{"a":"b"}',
  '5s',
  'auto',
  '32,128',
];

const value = fc.oneof(fc.constantFrom(...words), fc.string(), fc.string({ unit: 'binary' }));
const env = fc.dictionary(
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...envNames) }, fc.string()),
  value,
  { maxKeys: 30 },
);
const flag = fc.oneof(
  fc.constantFrom(...flagNames),
  fc.tuple(fc.constantFrom(...flagNames), value).map(([name, text]) => `${name}=${text}`),
  value,
);
const yamlFile = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .dictionary(fc.constantFrom(...keys, 'etcd', 'bgpConfig'), fc.oneof(value, fc.jsonValue()))
    .map((object) => JSON.stringify(object)),
);

test('whatever is given, loading ends with a configuration or with a ConfigError or UsageError that says what is wrong', () => {
  fc.assert(
    fc.property(
      env,
      fc.array(flag, { maxLength: 12 }),
      yamlFile,
      fc.constantFrom('c.json', 'c.yaml'),
      (e, argv, file, path) => {
        try {
          const { config } = loadConfig({
            argv: ['--config-file', path, ...argv],
            env: e,
            readFile: () => file,
            hostname: 'h',
          });
          assert.ok(config.leaseDuration > config.renewDeadline);
        } catch (error) {
          assert.ok(error instanceof ConfigError || error instanceof UsageError, String(error));
          assert.notEqual(error.message.trim(), '');
        }
      },
    ),
    { numRuns: runs(1500) },
  );
});

test('every default reads back from its own text', () => {
  for (const [name, { codec, default: fallback, secret }] of settingList) {
    if (secret || codec.type === 'json') continue;
    for (const origin of ['flag', 'env', 'file'] as const) {
      const parsed = codec.parse(codec.format(fallback), origin);
      assert.deepEqual('value' in parsed ? parsed.value : parsed, fallback, name);
    }
  }
});

test('any text is a literal or is not, without throwing and in linear time', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseGoBool(text);
      parseGoInt(text, 0);
      parseGoInt(text, 10);
      parseGoDuration(text);
      parseVips(text, text);
    }),
  );
  const long = '1'.repeat(1 << 17);
  for (const text of [`${long}x`, `0x${long}g`, `0${long}_`, `${long}.`, `${'1_'.repeat(1 << 16)}x`]) {
    assert.equal(parseGoInt(text, 0), Number.NaN);
    assert.equal(parseGoDuration(text), undefined);
  }
});

test('numbers round-trip through every base that Go prints', () => {
  fc.assert(
    fc.property(fc.integer(), (number) => {
      assert.equal(parseGoInt(String(number), 10), number);
      assert.equal(parseGoInt(String(number), 0), number);
      const sign = number < 0 ? '-' : '';
      const size = Math.abs(number);
      if (size === 0) return;
      assert.equal(parseGoInt(`${sign}0x${size.toString(16)}`, 0), number);
      assert.equal(parseGoInt(`${sign}0${size.toString(8)}`, 0), number);
      assert.equal(parseGoInt(`${sign}0b${size.toString(2)}`, 0), number);
    }),
  );
});
