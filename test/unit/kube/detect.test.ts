import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressesOfSubjectAltName, detectServer } from '../../../src/kube/detect.ts';
import { ip } from '../../../src/lib/ip.ts';
import type { Ip } from '../../../src/lib/ip.ts';

function probes(addresses: readonly string[], answering: readonly string[]) {
  const asked: Ip[] = [];
  return {
    asked,
    certificateAddresses: () => Promise.resolve(addresses.map(ip)),
    answers: (address: Ip) => {
      asked.push(address);
      return Promise.resolve(answering.includes(address));
    },
  };
}

describe('finding the API server by its certificate', () => {
  it('asks in the order of the certificate, one after the other, and stops at the first answer', async () => {
    const given = probes(['10.0.0.1', '10.0.0.2', '10.0.0.3'], ['10.0.0.2', '10.0.0.3']);
    assert.equal(await detectServer(given, []), '10.0.0.2');
    assert.deepEqual(given.asked, ['10.0.0.1', '10.0.0.2']);
  });

  it('never asks our own VIP, however it is written', async () => {
    const given = probes(['10.0.0.100', 'fd00::1', '10.0.0.2'], ['10.0.0.100', 'fd00::1', '10.0.0.2']);
    assert.equal(await detectServer(given, ['10.0.0.100', 'FD00:0::1']), '10.0.0.2');
    assert.deepEqual(given.asked, ['10.0.0.2']);
  });

  it('says what it tried when nobody answers', async () => {
    await assert.rejects(
      detectServer(probes(['10.0.0.1'], []), []),
      /no API server answers.*tried 10\.0\.0\.1/,
    );
    await assert.rejects(detectServer(probes([], []), []), /it names no address/);
  });

  it('reads the addresses as Node prints them', () => {
    const text =
      'DNS:kubernetes, IP Address:10.96.0.1, IP Address:FD00:0:0:0:0:0:0:1, URI:spiffe://x, IP Address:junk';
    assert.deepEqual(addressesOfSubjectAltName(text), ['10.96.0.1', 'fd00::1']);
  });
});
