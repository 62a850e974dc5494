import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelValue, NodeLabel } from '../../../src/control-plane/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

type Patch = Readonly<Record<string, string | null>>;

function scene(patch: (labels: Patch) => Promise<void>) {
  const clock = new FakeClock();
  const sent: Patch[] = [];
  const label = new NodeLabel({
    patch: (labels) => {
      sent.push(labels);
      return patch(labels);
    },
    clock,
    random: () => 1,
    log: silentLogger,
  });
  return { clock, sent, label };
}

test('CP-201 the label value of any VIP is valid: dotted IPv4, 32 hex digits for IPv6', () => {
  const valid = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
  assert.equal(labelValue(ip('192.0.2.10')), '192.0.2.10');
  assert.equal(labelValue(ip('2001:db8::10')), '20010db8000000000000000000000010');
  for (const vip of ['192.0.2.10', '::1', '2001:db8::10']) assert.match(labelValue(ip(vip)), valid);
});

test('CP-202 a slow API server delays only the label: set() returns at once', () => {
  const { label, sent } = scene(() => new Promise(() => undefined));
  label.set('192.0.2.10');
  label.set(null);
  assert.deepEqual(sent, [{ 'kube-vip.io/has-ip': '192.0.2.10' }]);
});

test('the newest wish wins, and a failure is retried', async () => {
  let failures = 2;
  const { label, sent, clock } = scene(() =>
    failures-- > 0 ? Promise.reject(new Error('503')) : Promise.resolve(),
  );
  label.set('192.0.2.10');
  await clock.flush();
  label.set(null);
  await clock.advance(60_000);
  assert.deepEqual(sent, [
    { 'kube-vip.io/has-ip': '192.0.2.10' },
    { 'kube-vip.io/has-ip': null },
    { 'kube-vip.io/has-ip': null },
  ]);
});

test('close removes both labels and gives up after its budget', async () => {
  const good = scene(() => Promise.resolve());
  good.label.set('192.0.2.10');
  await good.clock.flush();
  await good.label.close(5000);
  assert.deepEqual(good.sent.at(-1), { 'kube-vip.io/has-ip': null, 'service-provided.kube-vip.io': null });

  const bad = scene(() => Promise.reject(new Error('403')));
  bad.label.set('192.0.2.10');
  const closing = bad.label.close(5000);
  await bad.clock.advance(5000);
  await closing;
  assert.deepEqual(bad.clock.timers(), []);
});
