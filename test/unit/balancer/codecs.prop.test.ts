import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConnection } from '../../../src/linux/conntrack/codec.ts';
import { decodeFamilyId } from '../../../src/linux/genetlink.ts';
import * as ipvs from '../../../src/linux/ipvs/codec.ts';
import { parseConnections } from '../../../src/linux/ipvs/connections.ts';
import * as nft from '../../../src/linux/nftables/decode.ts';
import { decodeRuleCounter } from '../../../src/linux/nftables/rule-counters.ts';
import { decodeListener } from '../../../src/linux/sock-diag.ts';
import { testHostileBytes } from '../linux/hostile.ts';
import type { Decoder } from '../linux/hostile.ts';
import { vectors } from './vectors.ts';

const decoders: Readonly<Record<string, Decoder>> = {
  'a table': nft.decodeTable,
  'a chain': nft.decodeChain,
  'a rule': nft.decodeRule,
  'the counter of a rule': decodeRuleCounter,
  'a set': nft.decodeSet,
  elements: nft.decodeElements,
  'a table name': nft.decodeTableName,
  'a generation': nft.decodeGeneration,
  'a connection': decodeConnection,
  'a family': decodeFamilyId,
  'a service': ipvs.decodeService,
  'a listener': decodeListener,
  'a destination': (bytes, littleEndian) => ipvs.decodeDestination(bytes, 4, littleEndian),
};

testHostileBytes(decoders, Object.values(vectors));

test('any text gives connections of which there are at most as many as asked for', () => {
  const words = fc.constantFrom('TCP', 'UDP', '0A4D0001', '192B', '[fd77::1]', 'ESTABLISHED', 'x', '', '-1');
  const line = fc.array(words, { maxLength: 9 }).map((parts) => parts.join(' '));
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), fc.nat(5), (lines, limit) => {
      assert.ok(parseConnections(lines.join('\n'), limit).length <= limit);
    }),
  );
});
