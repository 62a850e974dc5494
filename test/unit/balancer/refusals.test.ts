import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../../../src/node/forwarding/refusals.ts';
import { server, spec } from './scene.ts';

test('what can be is not refused', () => {
  assert.equal(refusal(spec('10.0.0.100', { port: 443 }), 'nftables'), undefined);
  assert.equal(refusal(spec('fd00::100', { method: 'directroute' }), 'nftables'), undefined);
  assert.equal(refusal(spec('10.0.0.100', { method: 'tunnel' }), 'ipvs'), undefined);
});

test('servers of the other family', () => {
  const mixed = spec('fd00::100', { realServers: [server('10.0.0.1')] });
  assert.match(refusal(mixed, 'ipvs') ?? '', /^10\.0\.0\.1 is not of the address family of VIP fd00::100/);
});

test('methods that nftables does not have', () => {
  for (const method of ['tunnel', 'bypass'] as const) {
    assert.match(
      refusal(spec('10.0.0.100', { method }), 'nftables') ?? '',
      new RegExp(`${method} needs IPVS`),
    );
  }
});

test('methods that keep the port', () => {
  for (const method of ['local', 'tunnel', 'directroute', 'bypass'] as const) {
    const text = refusal(spec('10.0.0.100', { method, port: 443 }), 'ipvs') ?? '';
    assert.match(
      text,
      new RegExp(`${method} cannot translate ports: VIP port 443 must be the servers' port 6443`),
    );
  }
});
