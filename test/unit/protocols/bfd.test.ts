import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DecodeError } from '../../../src/lib/errors.ts';
import { decodeBfd, encodeBfd } from '../../../src/protocols/bfd/codec.ts';
import {
  stepBfd,
  stoppedBfd,
  type BfdConfig,
  type BfdEffect,
  type BfdEvent,
  type BfdState,
} from '../../../src/protocols/bfd/machine.ts';
import type { BfdPacket, BfdStateName } from '../../../src/protocols/bfd/types.ts';
import { fromHex, toHex } from './hex.ts';

describe('BFD Control packets', () => {
  /** RFC 5880 4.1: version 1, diagnostic 3, Up, Poll, multiplier 3, 24 bytes. */
  const hex = '23 e0 03 18 00000011 00000022 000493e0 000f4240 00000000';
  const packet: BfdPacket = {
    diagnostic: 3,
    state: 'up',
    poll: true,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: 3,
    myDiscriminator: 0x11,
    yourDiscriminator: 0x22,
    desiredMinTxUs: 300_000,
    requiredMinRxUs: 1_000_000,
    requiredMinEchoRxUs: 0,
  };

  test('are 24 bytes', () => {
    assert.deepEqual(decodeBfd(fromHex(hex)), packet);
    assert.equal(toHex(encodeBfd(packet)), hex.replaceAll(' ', ''));
  });

  test('may have bytes behind them', () => {
    assert.deepEqual(decodeBfd(fromHex(`${hex} ffff`)), packet);
  });

  /** RFC 5880 6.8.6: what makes a packet worthless, whatever session it is for. */
  const bad: readonly (readonly [string, string])[] = [
    ['version', '03 e0 03 18 00000011 00000022 000493e0 000f4240 00000000'],
    ['length', '23 e0 03 17 00000011 00000022 000493e0 000f4240 00000000'],
    ['length', '23 e0 03 19 00000011 00000022 000493e0 000f4240 00000000'],
    ['detect multiplier', '23 e0 00 18 00000011 00000022 000493e0 000f4240 00000000'],
    ['flags', '23 e1 03 18 00000011 00000022 000493e0 000f4240 00000000'],
    ['flags', '23 e4 03 18 00000011 00000022 000493e0 000f4240 00000000'],
    ['my discriminator', '23 e0 03 18 00000000 00000022 000493e0 000f4240 00000000'],
    ['your discriminator', '23 e0 03 18 00000011 00000000 000493e0 000f4240 00000000'],
    ['length', '23 e0 03 18 00000011 00000022 000493e0 000f4240'],
    ['version', ''],
  ];
  for (const [field, text] of bad)
    test(`are refused for their ${field}: ${text === '' ? 'nothing' : text.slice(0, 20)}`, () => {
      assert.throws(
        () => decodeBfd(fromHex(text)),
        (error) => error instanceof DecodeError && error.field === field,
      );
    });

  test('need no discriminator of ours while the sender is down', () => {
    assert.equal(decodeBfd(encodeBfd({ ...packet, state: 'down', yourDiscriminator: 0 })).state, 'down');
  });
});

const config: BfdConfig = {
  discriminator: 7,
  desiredMinTxMs: 300,
  requiredMinRxMs: 200,
  detectMultiplier: 3,
};
/** No jitter: a time is the longest it can be. */
const context = { config, random: () => 1 };
const start: BfdEvent = { kind: 'start' };
const stop: BfdEvent = { kind: 'stop' };
const silence: BfdEvent = { kind: 'timer', timer: 'detect' };
const due: BfdEvent = { kind: 'timer', timer: 'transmit' };

function heard(state: BfdStateName, more: Partial<BfdPacket> = {}): BfdEvent {
  const packet: BfdPacket = {
    diagnostic: 0,
    state,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: 4,
    myDiscriminator: 9,
    yourDiscriminator: 7,
    desiredMinTxUs: 500_000,
    requiredMinRxUs: 400_000,
    requiredMinEchoRxUs: 0,
    ...more,
  };
  return { kind: 'packet', packet };
}

/** Effects in short: `send up P 7>9`, `transmit 300`, `detect off`, `down failed` ... */
function brief(effects: readonly BfdEffect[]): readonly string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case 'send': {
        const { state, poll, final, myDiscriminator, yourDiscriminator, desiredMinTxUs } = effect.packet;
        const flag = poll ? ' P' : final ? ' F' : '';
        return `send ${state}${flag} ${myDiscriminator}>${yourDiscriminator} ${desiredMinTxUs / 1000}ms`;
      }
      case 'timer':
        return `${effect.timer} ${effect.ms ?? 'off'}`;
      case 'down':
        return effect.hasFailed ? 'down failed' : 'down';
      default:
        return effect.kind;
    }
  });
}

function after(...events: readonly BfdEvent[]): {
  readonly state: BfdState;
  readonly effects: readonly string[];
} {
  let state = stoppedBfd;
  let effects: readonly BfdEffect[] = [];
  for (const event of events) ({ state, effects } = stepBfd(state, event, context));
  return { state, effects: brief(effects) };
}

describe('BGP-21 a BFD session', () => {
  const up = [start, heard('down'), heard('up')];

  test('begins slowly, whatever the intervals are (RFC 5880 6.8.3)', () => {
    assert.deepEqual(after(start).effects, ['send down 7>0 1000ms', 'transmit 1000']);
    assert.deepEqual(after(start, due).effects, ['send down 7>0 1000ms', 'transmit 1000']);
  });

  test('comes up in three steps, and polls because it becomes fast', () => {
    assert.deepEqual(after(start, heard('down', { yourDiscriminator: 0 })).effects, [
      'send init 7>9 1000ms',
      'transmit 1000',
      'detect 2000',
    ]);
    assert.deepEqual(after(...up).effects, ['up', 'send up P 7>9 300ms', 'transmit 400', 'detect 2000']);
    assert.deepEqual(after(...up, due).effects, ['send up P 7>9 300ms', 'transmit 400']);
    assert.deepEqual(after(...up, heard('up', { final: true }), due).effects, [
      'send up 7>9 300ms',
      'transmit 400',
    ]);
  });

  const table: readonly (readonly [BfdStateName, BfdStateName, BfdStateName])[] = [
    ['down', 'down', 'init'],
    ['down', 'init', 'up'],
    ['down', 'up', 'down'],
    ['down', 'adminDown', 'down'],
    ['init', 'down', 'init'],
    ['init', 'init', 'up'],
    ['init', 'up', 'up'],
    ['init', 'adminDown', 'down'],
    ['up', 'down', 'down'],
    ['up', 'init', 'up'],
    ['up', 'up', 'up'],
    ['up', 'adminDown', 'down'],
  ];
  const ways: Readonly<Record<string, readonly BfdEvent[]>> = {
    down: [start],
    init: [start, heard('down')],
    up,
  };
  for (const [from, says, to] of table)
    test(`that is ${from} and hears ${says} is ${to} (RFC 5880 6.8.6)`, () => {
      assert.equal(after(...(ways[from] ?? []), heard(says)).state.name, to);
    });

  test('goes down, and says why, after the detection time without a packet', () => {
    const { state, effects } = after(...up, silence);
    assert.deepEqual(effects, ['down failed', 'send down 7>0 1000ms', 'transmit 1000']);
    assert.equal(state.diagnostic, 1);
    assert.equal(after(start, heard('down'), silence).state.name, 'down');
  });

  test('waits for as many packets of the slower of what one sends and the other can take (6.8.4)', () => {
    const detect = (desiredMinTxUs: number): string | undefined =>
      after(...up, heard('up', { desiredMinTxUs })).effects.at(-1);
    assert.equal(detect(100_000), 'detect 800');
    assert.equal(detect(900_000), 'detect 3600');
  });

  test('that is switched off by the neighbour has not failed', () => {
    const { effects, state } = after(...up, heard('adminDown'));
    assert.equal(effects[0], 'down');
    assert.equal(state.diagnostic, 3);
    assert.equal(after(...up, heard('down')).effects[0], 'down failed');
  });

  test('that ends tells the neighbour that its silence means nothing', () => {
    const { effects, state } = after(...up, stop);
    assert.deepEqual(effects, ['send adminDown 7>9 1000ms', 'transmit off', 'detect off', 'down']);
    assert.equal(state.diagnostic, 7);
    assert.deepEqual(after(...up, stop, heard('up')).effects, []);
    assert.deepEqual(after(...up, stop, due).effects, []);
  });

  test('answers a poll at once (6.5)', () => {
    const { effects } = after(...up, heard('up', { final: true }), heard('up', { poll: true }));
    assert.deepEqual(effects, ['send up F 7>9 300ms', 'detect 2000']);
  });

  test('ignores packets for another session', () => {
    assert.deepEqual(after(...up, heard('down', { yourDiscriminator: 8 })).effects, []);
  });

  test('sends as slowly as the neighbour wants, and not at all when it wants none', () => {
    const slow = after(...up, heard('up', { requiredMinRxUs: 900_000 }));
    assert.deepEqual(slow.effects, ['transmit 900', 'detect 2000']);
    const none = heard('up', { requiredMinRxUs: 0 });
    assert.deepEqual(after(...up, none).effects, ['transmit off', 'detect 2000']);
    assert.deepEqual(after(...up, none, silence).effects.slice(1), ['send down 7>0 1000ms', 'transmit 1000']);
    const quiet = heard('up', { demand: true, final: true });
    assert.deepEqual(after(...up, quiet).effects, ['transmit off', 'detect 2000'], 'demand mode');
  });

  test('that is down and forgets a neighbour that wanted no packets sends again', () => {
    const none = heard('adminDown', { requiredMinRxUs: 0 });
    assert.deepEqual(after(start, none).effects, ['transmit off', 'detect 2000']);
    assert.deepEqual(after(start, none, silence).effects, ['transmit 1000']);
  });

  test('spreads its packets, more so where a single one missing counts (6.8.7)', () => {
    const at = (random: number, detectMultiplier: number): string | undefined =>
      brief(
        stepBfd(stoppedBfd, start, { config: { ...config, detectMultiplier }, random: () => random }).effects,
      ).at(-1);
    assert.deepEqual([at(0, 3), at(1, 3), at(1, 1)], ['transmit 750', 'transmit 1000', 'transmit 900']);
  });
});
