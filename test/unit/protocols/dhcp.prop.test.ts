import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../../src/lib/errors.ts';
import { ipFromBytes, macFromBytes, type Ip, type Mac } from '../../../src/lib/ip.ts';
import {
  decodeDhcpFrame,
  encodeDhcpFrame,
  stepDhcp,
  stoppedDhcp,
  type DhcpContext,
  type DhcpEvent,
  type DhcpMessage,
} from '../../../src/protocols/index.ts';
import { runs } from '../../../src/testing/runs.ts';

const u32 = fc.nat(0xffff_ffff);
const address: fc.Arbitrary<Ip> = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .map((bytes) => ipFromBytes(bytes));
const hardware: fc.Arbitrary<Mac> = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => macFromBytes(bytes));
const types = ['discover', 'offer', 'request', 'decline', 'ack', 'nak', 'release', 'inform'] as const;
const mac = '02:00:00:00:00:01' as Mac;
const link = { hardwareType: 1, mac, broadcast: 'ff:ff:ff:ff:ff:ff' as Mac } as const;

const message = fc.record<DhcpMessage>(
  {
    op: fc.constantFrom('request', 'reply'),
    type: fc.constantFrom(...types),
    xid: fc.oneof(fc.constant(0x8000_0000), u32),
    secs: fc.nat(0xffff),
    ciaddr: address,
    yiaddr: address,
    chaddr: fc.oneof(fc.constant(mac), hardware),
    requestedIp: address,
    serverId: address,
    leaseSeconds: fc.oneof(fc.constant(120), u32),
    renewSeconds: u32,
    rebindSeconds: u32,
    hostName: fc.string({ maxLength: 60 }),
    clientId: fc.uint8Array({ maxLength: 255 }),
    maxMessageBytes: fc.nat(0xffff),
  },
  {
    requiredKeys: ['op', 'type', 'xid', 'secs', 'ciaddr', 'yiaddr', 'chaddr'],
    noNullPrototype: true,
  },
);
const packet = fc.record({ from: address, to: address, message }, { noNullPrototype: true });

test('every DHCP message reads back as it was written', () => {
  fc.assert(
    fc.property(packet, (each) => {
      const frame = encodeDhcpFrame(link, link.broadcast, each);
      assert.deepEqual(decodeDhcpFrame(frame), { fromMac: mac, ...each });
    }),
    { numRuns: runs(500) },
  );
});

test('any frame gives a DHCP message or a DecodeError', () => {
  const damage = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 8 });
  fc.assert(
    fc.property(packet, damage, fc.nat(60), (each, changes, cut) => {
      const frame = encodeDhcpFrame(link, link.broadcast, each);
      for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
      try {
        decodeDhcpFrame(frame.subarray(0, frame.length - cut));
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
    { numRuns: runs(2000) },
  );
});

test('whatever comes in whatever order: what is used was acknowledged, and time never stands still', () => {
  const event: fc.Arbitrary<DhcpEvent> = fc.oneof(
    fc.record({ kind: fc.constant('start' as const), known: fc.option(address, { nil: undefined }) }),
    fc.record({ kind: fc.constant('stop' as const), release: fc.boolean() }),
    fc.constant({ kind: 'tick' as const }),
    packet.map((each) => ({ kind: 'received' as const, packet: { fromMac: mac, ...each } })),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(100_000)), { maxLength: 60 }), (events) => {
      let state = stoppedDhcp;
      let now = 0;
      for (const [each, passes] of events) {
        now += passes;
        // Every exchange has the xid that the messages like to have.
        const context: DhcpContext = { now, random: () => 0.5, mac, hostName: 'api', attempts: 2 };
        const { state: next, effects } = stepDhcp(state, each, context);
        for (const effect of effects) {
          if (effect.kind !== 'leased') continue;
          assert.ok(each.kind === 'received' && each.packet.message.type === 'ack');
          assert.equal(effect.address, each.packet.message.yiaddr);
        }
        if (next !== state && next.phase !== 'stopped' && next.phase !== 'bound')
          assert.ok(next.wakeAt > now);
        state = next;
      }
    }),
    { numRuns: runs(1000) },
  );
});
