import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import type { TcpListener } from '../../../src/linux/index.ts';
import { portConflict } from '../../../src/node/forwarding/index.ts';

const at = (address: string, port: number, v6Only = false): TcpListener => ({
  address: ip(address),
  port,
  v6Only,
});
const of =
  (vip: string, port: number, serverPort = 6443, method: 'masquerade' | 'local' = 'masquerade') =>
  (...listeners: readonly TcpListener[]) =>
    portConflict({ vip: ip(vip), port }, { method, serverPort }, listeners);

test('who listens on the VIP itself would lose everything', () => {
  const found = of('10.0.0.100', 6443)(at('10.0.0.100', 6443));
  assert.equal(found?.isFatal, true);
  assert.match(found.text, /^10\.0\.0\.100:6443 is in use/);
  assert.match(of('fd00::1', 443)(at('fd00::1', 443))?.text ?? '', /^\[fd00::1\]:443 is in use/);
});

test('who listens everywhere loses what goes to the VIP', () => {
  for (const address of ['0.0.0.0', '::']) {
    const found = of('10.0.0.100', 443)(at(address, 443));
    assert.equal(found?.isFatal, false);
    assert.match(found.text, /^port 443 is in use/);
  }
  assert.equal(of('fd00::1', 443)(at('::', 443, true))?.isFatal, false);
});

test('others are none of its business', () => {
  assert.equal(of('10.0.0.100', 443)(), undefined);
  assert.equal(of('10.0.0.100', 443)(at('10.0.0.1', 443), at('0.0.0.0', 80)), undefined);
  assert.equal(of('10.0.0.100', 443)(at('::', 443, true)), undefined, 'IPv6 only');
  assert.equal(of('fd00::1', 443)(at('0.0.0.0', 443)), undefined);
});

test('the API server listens everywhere on its own port, and with `local` it is what serves', () => {
  assert.equal(of('10.0.0.100', 6443)(at('::', 6443)), undefined);
  assert.equal(of('10.0.0.100', 6443, 6443, 'local')(at('10.0.0.100', 6443)), undefined);
});
