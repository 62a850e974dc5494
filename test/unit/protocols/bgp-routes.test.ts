import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip, type Family } from '../../../src/lib/ip.ts';
import type { Negotiated } from '../../../src/protocols/bgp/open.ts';
import { advertiseRoutes, withdrawRoutes } from '../../../src/protocols/bgp/routes.ts';
import type { BgpMessage, Update } from '../../../src/protocols/bgp/types.ts';
import { decodeUpdate } from '../../../src/protocols/bgp/update.ts';

const negotiated: Negotiated = {
  peerAs: 65_001,
  peerRouterId: ip('10.0.0.2'),
  holdTime: 30,
  keepaliveInterval: 10,
  asOctets: 4,
  families: [4, 6],
};
const vip4 = { address: ip('192.0.2.10'), length: 32 };
const vip6 = { address: ip('2001:db8::10'), length: 128 };
const hop4 = ip('10.0.0.1');
const hop6 = ip('2001:db8:1::1');

function only(messages: readonly BgpMessage[], asOctets: 2 | 4 = 4): Update {
  const [message] = messages;
  assert.equal(messages.length, 1);
  assert.ok(message?.type === 'update');
  return decodeUpdate(message.body, asOctets);
}

describe('our routes', () => {
  const external = { localAs: 65_000, negotiated };
  const internal = { localAs: 65_000, negotiated: { ...negotiated, peerAs: 65_000 } };

  test('BGP-09 BGP-10 to another AS: origin IGP, our AS, next hop, no preference', () => {
    assert.deepEqual(only(advertiseRoutes(external, 4, [vip4], hop4)), {
      withdrawn: [],
      attributes: [
        { kind: 'origin', origin: 'igp' },
        { kind: 'as-path', segments: [{ kind: 'sequence', ases: [65_000] }] },
        { kind: 'next-hop', nextHop: hop4 },
      ],
      nlri: [vip4],
    });
  });

  test('BGP-09 to our own AS: an empty path and a local preference of 100', () => {
    assert.deepEqual(only(advertiseRoutes(internal, 4, [vip4], hop4)).attributes, [
      { kind: 'origin', origin: 'igp' },
      { kind: 'as-path', segments: [] },
      { kind: 'next-hop', nextHop: hop4 },
      { kind: 'local-pref', preference: 100 },
    ]);
  });

  test('BGP-10 IPv6 routes travel in MP_REACH and leave in MP_UNREACH', () => {
    const update = only(advertiseRoutes(external, 6, [vip6], hop6));
    assert.deepEqual(update.nlri, []);
    assert.deepEqual(update.attributes.at(-1), {
      kind: 'mp-reach',
      family: 6,
      nextHops: [hop6],
      nlri: [vip6],
    });
    assert.deepEqual(only(withdrawRoutes(external, 6, [vip6])).attributes, [
      { kind: 'mp-unreach', family: 6, withdrawn: [vip6] },
    ]);
  });

  test('IPv4 routes leave in the field of their own', () => {
    assert.deepEqual(only(withdrawRoutes(external, 4, [vip4])), {
      withdrawn: [vip4],
      attributes: [],
      nlri: [],
    });
  });

  test('a wide AS goes to a narrow peer in AS4_PATH (RFC 6793)', () => {
    const narrow = { localAs: 4_200_000_000, negotiated: { ...negotiated, asOctets: 2 as const } };
    const update = only(advertiseRoutes(narrow, 4, [vip4], hop4), 2);
    const as4Path = update.attributes.find((each) => each.kind === 'unknown');
    assert.deepEqual(as4Path, {
      kind: 'unknown',
      flags: 0xc0,
      code: 17,
      value: Uint8Array.of(2, 1, 0xfa, 0x56, 0xea, 0x00),
    });
  });

  test('no routes are no messages', () => {
    for (const family of [4, 6] as const satisfies readonly Family[]) {
      assert.deepEqual(advertiseRoutes(external, family, [], hop4), []);
      assert.deepEqual(withdrawRoutes(external, family, []), []);
    }
  });
});
