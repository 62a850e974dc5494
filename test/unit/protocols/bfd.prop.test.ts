import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { decodeBfd, encodeBfd } from '../../../src/protocols/bfd/codec.ts';
import { stepBfd, stoppedBfd, type BfdConfig, type BfdEvent } from '../../../src/protocols/bfd/machine.ts';
import { bfdStates, type BfdPacket } from '../../../src/protocols/bfd/types.ts';
import { runs } from '../../../src/testing/runs.ts';

const u32 = fc.nat(0xffff_ffff);
const packet: fc.Arbitrary<BfdPacket> = fc.record<BfdPacket>(
  {
    diagnostic: fc.nat(31),
    state: fc.constantFrom(...bfdStates),
    poll: fc.boolean(),
    final: fc.boolean(),
    controlPlaneIndependent: fc.boolean(),
    demand: fc.boolean(),
    detectMultiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    yourDiscriminator: fc.oneof(fc.constant(7), fc.integer({ min: 1, max: 0xffff_ffff })),
    desiredMinTxUs: u32,
    requiredMinRxUs: u32,
    requiredMinEchoRxUs: u32,
  },
  { noNullPrototype: true },
);

test('every BFD packet reads back as it was written', () => {
  fc.assert(
    fc.property(packet, (each) => {
      assert.deepEqual(decodeBfd(encodeBfd(each)), each);
    }),
    { numRuns: runs(500) },
  );
});

test('any bytes give a BFD packet or a DecodeError', () => {
  const damaged = fc
    .tuple(packet, fc.array(fc.tuple(fc.nat(23), fc.nat(255)), { maxLength: 6 }), fc.nat(30))
    .map(([each, changes, length]) => {
      const bytes = encodeBfd(each);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes.slice(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged), (bytes) => {
      try {
        decodeBfd(bytes);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
    { numRuns: runs(2000) },
  );
});

const event: fc.Arbitrary<BfdEvent> = fc.oneof(
  fc.constant<BfdEvent>({ kind: 'start' }),
  fc.constant<BfdEvent>({ kind: 'stop' }),
  fc
    .constantFrom('transmit' as const, 'detect' as const)
    .map((timer): BfdEvent => ({ kind: 'timer', timer })),
  packet.map((each): BfdEvent => ({ kind: 'packet', packet: each })),
);
const config: BfdConfig = {
  discriminator: 7,
  desiredMinTxMs: 300,
  requiredMinRxMs: 200,
  detectMultiplier: 3,
};

test('in whatever order things happen, a BFD session that is up will notice silence, and down follows up', () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (events, draw) => {
        let state = stoppedBfd;
        let isUp = false;
        const armed = new Map<string, number>();
        for (const each of events) {
          if (each.kind === 'timer' && !armed.delete(each.timer)) continue;
          const step = stepBfd(state, each, { config, random: () => draw });
          state = step.state;
          for (const effect of step.effects) {
            if (effect.kind === 'up' || effect.kind === 'down') {
              assert.equal(isUp, effect.kind === 'down');
              isUp = effect.kind === 'up';
            } else if (effect.kind === 'timer') {
              if (effect.ms === undefined) armed.delete(effect.timer);
              else armed.set(effect.timer, effect.ms);
            } else {
              assert.deepEqual(decodeBfd(encodeBfd(effect.packet)).myDiscriminator, 7);
            }
          }
          assert.equal(isUp, state.name === 'up');
          if (isUp) assert.ok((armed.get('detect') ?? 0) >= 200);
          if (state.name === 'adminDown') assert.equal(armed.size, 0);
          else assert.ok(armed.size > 0, 'something will happen');
        }
      },
    ),
    { numRuns: runs(500) },
  );
});
