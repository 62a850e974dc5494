import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { decodeConnection } from '../../../src/linux/conntrack/codec.ts';
import { decodeFamilyId } from '../../../src/linux/genetlink.ts';
import * as ipvs from '../../../src/linux/ipvs/codec.ts';
import { parseConnections } from '../../../src/linux/ipvs/connections.ts';
import * as nft from '../../../src/linux/nftables/decode.ts';
import { encodeSteps } from '../../../src/linux/nftables/encode.ts';
import { decodeListener, encodeListenerQuery } from '../../../src/linux/sock-diag.ts';
import type { NftElement, NftSet, NftStep } from '../../../src/linux/index.ts';
import { bytesOf, vectors } from './vectors.ts';

const le = true;

test('a listening socket, as inet_diag tells of it', () => {
  const found = decodeListener(bytesOf(vectors.listener), le);
  assert.deepEqual(found, { address: '::', port: 7443, v6Only: false });
  const connected = bytesOf(vectors.listener);
  connected[1] = 1;
  assert.equal(decodeListener(connected, le), undefined);
  assert.equal(Buffer.from(encodeListenerQuery(2)).toString('hex', 0, 8), '0206000000040000');
  assert.equal(encodeListenerQuery(10).length, 56);
});

describe('nf_tables, as the kernel sends it', () => {
  test('a table', () => {
    assert.deepEqual(nft.decodeTable(bytesOf(vectors.nftTable), le), {
      family: 'ip',
      name: 't',
      dormant: false,
    });
    assert.equal(nft.decodeTableName(bytesOf(vectors.nftTable), le), 't');
  });

  test('a generation', () => {
    const payload = bytesOf('00000007' + '0800010000000107' + '0800020000000e2a');
    assert.equal(nft.decodeGeneration(payload, le), 0x107);
  });

  test('chains', () => {
    assert.deepEqual(nft.decodeChain(bytesOf(vectors.nftPlainChain), le), {
      family: 'ip',
      table: 't',
      name: 'c',
    });
    assert.deepEqual(nft.decodeChain(bytesOf(vectors.nftBaseChain), le), {
      family: 'ip',
      table: 't',
      name: 'p',
      base: { type: 'nat', hook: 'prerouting', priority: -110 },
    });
  });

  test('a rule with its comment', () => {
    const found = nft.decodeRule(bytesOf(vectors.nftRule), le);
    assert.deepEqual(found, { family: 'ip', table: 't', chain: 'c', comment: 'hello' });
  });

  test('maps and their elements', () => {
    assert.deepEqual(nft.decodeSet(bytesOf(vectors.nftVerdictMap), le), {
      family: 'ip',
      table: 't',
      name: 'v',
      anonymous: false,
      dynamic: false,
      keyLength: 8,
      dataLength: 'verdict',
    });
    const dynamic = nft.decodeSet(bytesOf(vectors.nftDynamicMap), le);
    assert.deepEqual([dynamic?.dynamic, dynamic?.keyLength, dynamic?.dataLength], [true, 4, 4]);
    assert.deepEqual(nft.decodeElements(bytesOf(vectors.nftVerdictElements), le), [
      { key: 'c000020101bb0000', data: { verdict: { goto: 'c' } } },
    ]);
    assert.deepEqual(nft.decodeElements(bytesOf(vectors.nftTimedElements), le), [
      { key: 'c0000207', data: '05000000', expiresInMs: 59_984 },
    ]);
  });
});

test('what is written about sets is read the same', () => {
  const elements: readonly NftElement[] = [
    { key: '0a00000119230000', data: { verdict: { goto: 'x' } } },
    { key: '0a00000219230000', data: { verdict: 'accept' } },
  ];
  const step: NftStep = {
    do: 'add set',
    family: 'ip6',
    table: 't',
    set: { name: 's', keyType: ['ipv4_addr', 'inet_service'], dataType: 'verdict', size: 8, elements },
  };
  const [set, list] = encodeSteps([step]);
  assert.ok(set !== undefined && list !== undefined);
  const { name, keyLength, dataLength } = nft.decodeSet(set.payload) ?? {};
  assert.deepEqual([name, keyLength, dataLength], ['s', 8, 'verdict']);
  assert.deepEqual(nft.decodeElements(list.payload), elements);
  assert.deepEqual([set.ack, list.ack], [false, true]);
});

test('a map of turns says what nft(8) says of one: the expressions of its key and data', () => {
  const written = (family: 'ip' | 'ip6'): string => {
    const dataType = [family === 'ip' ? 'ipv4_addr' : 'ipv6_addr', 'inet_service'] as const;
    const set: NftSet = { name: 's', keyType: 'turn', dataType, size: 8, elements: [] };
    const [message] = encodeSteps([{ do: 'add set', family, table: 't', set }]);
    return Buffer.from(message?.payload ?? []).toString('hex');
  };
  assert.ok(written('ip').includes(vectors.nftTypeofTurns4));
  assert.ok(written('ip6').includes(vectors.nftTypeofTurns6));
});

test('a tracked connection that is translated', () => {
  assert.deepEqual(decodeConnection(bytesOf(vectors.connection), le), {
    client: { address: '127.0.0.1', port: 54_214 },
    service: { address: '127.0.0.2', port: 80 },
    server: { address: '127.0.0.1', port: 81 },
    returnTo: { address: '127.0.0.1', port: 54_214 },
    state: 'established',
    id: 0xcd032c8c,
  });
});

describe('IPVS, as the kernel sends it', () => {
  test('the number of the family', () => {
    assert.equal(decodeFamilyId(bytesOf(vectors.ipvsFamily), le), 28);
  });

  test('services by address and by mark; UDP is none of ours', () => {
    assert.deepEqual(ipvs.decodeService(bytesOf(vectors.ipvsService), le), {
      key: { address: '192.0.2.1', port: 6443 },
      scheduler: 'rr',
    });
    assert.deepEqual(ipvs.decodeService(bytesOf(vectors.ipvsMarkService), le), {
      key: { mark: 10_042, family: 6 },
      scheduler: 'wlc',
    });
    assert.equal(ipvs.decodeService(bytesOf(vectors.ipvsUdpService), le), undefined);
  });

  test('destinations', () => {
    assert.deepEqual(ipvs.decodeDestination(bytesOf(vectors.ipvsDestination), 4, le), {
      address: '10.0.0.1',
      port: 6443,
      forwarding: 'masquerade',
      weight: 3,
    });
    assert.deepEqual(ipvs.decodeDestination(bytesOf(vectors.ipvsDestination6), 6, le), {
      address: 'fd00::1',
      port: 443,
      forwarding: 'directroute',
      weight: 1,
    });
  });

  test('what is written is read the same', () => {
    const service = { key: { address: ip('fd00::5'), port: 6443 }, scheduler: 'mh' };
    assert.deepEqual(
      ipvs.decodeService(ipvs.encodeServiceCommand(ipvs.command.newService, service)),
      service,
    );
    const destination = { address: ip('10.0.0.9'), port: 7, forwarding: 'tunnel', weight: 5 } as const;
    const key = { address: ip('10.0.0.1'), port: 7 };
    const bytes = ipvs.encodeDestinationCommand(ipvs.command.newDestination, key, destination);
    assert.deepEqual(ipvs.decodeDestination(bytes, 4), destination);
  });

  test('connections, from the file in /proc', () => {
    const text = [
      'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData',
      'TCP 0A4D0001 D2F4 0A4D0064 192B 0A4D0003 192B ESTABLISHED     899',
      'UDP 0A4D0001 D2F4 0A4D0064 0035 0A4D0003 0035 UDP             120',
      'TCP [fd77:0000:0000:0000:0000:0000:0000:0001] D2F5 [fd77:0000:0000:0000:0000:0000:0000:0100] 192B [fd77:0000:0000:0000:0000:0000:0000:0004] 192B FIN_WAIT         9',
      'nonsense',
      '',
    ].join('\n');
    const found = parseConnections(text, 10);
    assert.deepEqual(
      found.map(({ client, service, server, state }) => [
        client.address,
        client.port,
        service.address,
        server.address,
        state,
      ]),
      [
        ['10.77.0.1', 54_004, '10.77.0.100', '10.77.0.3', 'established'],
        ['fd77::1', 54_005, 'fd77::100', 'fd77::4', 'closing'],
      ],
    );
    assert.equal(parseConnections(text, 1).length, 1);
  });
});
