import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createLogger } from '../../../src/observe/log.ts';
import type { RootLogger } from '../../../src/observe/log.ts';
import type { LogFormat } from '../../../src/observe/log-format.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

interface Bench {
  readonly log: RootLogger;
  readonly lines: string[];
  readonly clock: FakeClock;
}

function bench(level = 0, format: LogFormat = 'text'): Bench {
  const lines: string[] = [];
  const clock = new FakeClock({ wall: new Date(2026, 8, 3, 4, 5, 6).getTime() });
  return { log: createLogger({ level, format, clock, write: (line) => lines.push(line()) }), lines, clock };
}

describe('text lines', () => {
  test('look like the ones of kube-vip', () => {
    const { log, lines } = bench();
    log.info('kube-vip.io', { version: 'v0.1.0', 'Control Plane': true, Mode: 'ARP', count: 3 });
    assert.deepEqual(lines, [
      '2026/09/03 04:05:06 INFO kube-vip.io version=v0.1.0 "Control Plane"=true Mode=ARP count=3\n',
    ]);
  });

  test('quote what has blanks, quotes, equal signs or control characters, and what is empty', () => {
    const { log, lines } = bench();
    log.info('m', { a: 'two words', b: 'x="y"', c: '', d: 'line\nbreak', e: undefined, f: '\u001b[31m' });
    assert.equal(
      lines[0]?.split(' INFO m ')[1],
      'a="two words" b="x=\\"y\\"" c="" d="line\\nbreak" f="\\u001b[31m"\n',
    );
  });

  test('hold nothing that a terminal obeys, or that hides or turns what follows, in either form', () => {
    const hostile = 'a\r\u001b[2J\u009b31m\u0085\u2028\u202e\u200b\ufeff\u{e0041}\ud800\u007f é😀';
    for (const format of ['text', 'json'] as const) {
      const { log, lines } = bench(0, format);
      log.info(hostile, { value: hostile, [hostile]: 1, nested: { value: hostile } });
      const [line = ''] = lines;
      assert.doesNotMatch(line.trimEnd(), /[\p{C}\p{Zl}\p{Zp}]/u, format);
      assert.ok(line.includes('\\u009b31m\\u0085\\u2028\\u202e'), line);
      assert.ok(line.includes(' é😀'), line);
      if (format === 'json') assert.equal((JSON.parse(line) as { value: string }).value, hostile);
    }
  });

  test('name the component, and errors by their message', () => {
    const { log, lines } = bench();
    log
      .child('election')
      .child('lease')
      .error('renewal failed', { error: new Error('connection refused') });
    assert.match(
      lines[0] ?? '',
      / ERROR renewal failed component=election\/lease error="connection refused"\n$/,
    );
  });

  test('are always one line, whatever the fields hold', () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), (message, fields) => {
        for (const format of ['text', 'json'] as const) {
          const { log, lines } = bench(0, format);
          log.info(message, fields);
          const text = lines.join('');
          assert.equal(text.indexOf('\n'), text.length - 1);
          if (format === 'json') JSON.parse(text);
        }
      }),
    );
  });

  test('cut values that are too long', () => {
    const { log, lines } = bench();
    log.info('m', { body: 'x'.repeat(1 << 20) });
    assert.ok((lines[0]?.length ?? 0) < 5000);
  });
});

test('JSON lines carry time, level, component and msg, then the fields', () => {
  const { log, lines, clock } = bench(0, 'json');
  log
    .child('node')
    .warn('VIP restored', { vip: '192.0.2.1', level: 'mine', error: new Error('gone'), owners: ['a'] });
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: new Date(clock.wall()).toISOString(),
    level: 'warn',
    component: 'node',
    msg: 'VIP restored',
    vip: '192.0.2.1',
    level_: 'mine',
    error: 'gone',
    owners: ['a'],
  });
});

describe('levels', () => {
  const levelsAt = (level: number): string[] => {
    const { log, lines } = bench(level);
    log.debug('d');
    log.info('i');
    log.warn('w');
    log.error('e');
    return lines.map((line) => line.split(' ')[2] ?? '');
  };

  test('CP-207 vip_loglevel -4 shows DEBUG, 0 starts at INFO, 4 hides INFO, 8 leaves ERROR, more silences all', () => {
    assert.deepEqual(levelsAt(-4), ['DEBUG', 'INFO', 'WARN', 'ERROR']);
    assert.deepEqual(levelsAt(0), ['INFO', 'WARN', 'ERROR']);
    assert.deepEqual(levelsAt(4), ['WARN', 'ERROR']);
    assert.deepEqual(levelsAt(8), ['ERROR']);
    assert.deepEqual(levelsAt(9), []);
  });

  test('debug of one component and its children can be switched while running', () => {
    const { log, lines } = bench();
    log.setDebug('election', true);
    log.child('election').debug('one');
    log.child('election').child('lease').debug('two');
    log.child('electioneering').debug('no');
    log.child('node').debug('no');
    log.setDebug('election', false);
    log.child('election').debug('no');
    assert.deepEqual(
      lines.map((line) => line.split(' ')[3]),
      ['one', 'two'],
    );
  });

  test('the level can be changed while running', () => {
    const { log, lines } = bench(4);
    const child = log.child('node');
    child.info('no');
    log.setLevel(0);
    child.info('yes');
    assert.equal(lines.length, 1);
  });
});

describe('repeated trouble', () => {
  test('is written once at once, and once more at the end of the window with its count', async () => {
    const { log, lines, clock } = bench();
    for (let round = 0; round < 5; round++) {
      log.warn('API server unreachable', { error: 'refused' });
      await clock.advance(1000);
    }
    assert.equal(lines.length, 1);
    await clock.advance(5000);
    assert.equal(lines.length, 2);
    assert.match(lines[1] ?? '', /WARN API server unreachable error=refused repeated=4\n$/);
    assert.deepEqual(clock.timers(), []);
  });

  test('with other fields, or as a story line, is not folded', () => {
    const { log, lines } = bench();
    log.warn('w', { error: 'a' });
    log.warn('w', { error: 'b' });
    log.info('i');
    log.info('i');
    assert.equal(lines.length, 4);
  });

  test('is flushed before the end', () => {
    const { log, lines, clock } = bench();
    log.error('e');
    log.error('e');
    log.flush();
    assert.match(lines[1] ?? '', /ERROR e repeated=1\n$/);
    assert.deepEqual(clock.timers(), []);
  });

  test('of many kinds is bounded: the oldest kind gives way', () => {
    const { log, lines } = bench();
    log.warn('first');
    log.warn('first');
    for (let kind = 0; kind < 300; kind++) log.warn(`kind ${kind}`);
    assert.ok(lines.some((line) => line.includes('first repeated=1')));
  });
});
