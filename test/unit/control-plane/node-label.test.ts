import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isServiceLabel,
  labelValue,
  NodeLabel,
  NodeLabels,
  serviceLabel,
  serviceLabelValue,
} from '../../../src/control-plane/index.ts';
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
  assert.deepEqual(good.sent.slice(1), [
    { 'kube-vip.io/has-ip': null },
    { 'service-provided.kube-vip.io': null },
  ]);

  const bad = scene(() => Promise.reject(new Error('403')));
  bad.label.set('192.0.2.10');
  const closing = bad.label.close(5000);
  await bad.clock.advance(5000);
  await closing;
  assert.deepEqual(bad.clock.timers(), []);
});

const legal = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

test('SVC-33 the label of a Service is legal whatever its name and its VIPs', () => {
  const [long, longest] = ['web', 'a'.repeat(40)].map((part) => serviceLabel('shop'.repeat(10), part));
  assert.equal(serviceLabel('shop', 'web'), 'service-provided.kube-vip.io/web.shop');
  for (const key of [long, longest]) assert.match(key?.split('/')[1] ?? '/', legal);
  assert.notEqual(serviceLabel('a'.repeat(60), 'web-1'), serviceLabel('a'.repeat(60), 'web-2'));
  const vips = ['192.0.2.10', '2001:db8::10', '2001:db8::11'].map(ip);
  assert.equal(serviceLabelValue(vips.slice(0, 2)), '192.0.2.10_20010db8000000000000000000000010');
  assert.equal(serviceLabelValue(vips), serviceLabelValue(vips.slice(0, 2)), 'a third one does not fit');
  assert.match(serviceLabelValue(vips), legal);
  assert.equal(isServiceLabel(serviceLabel('shop', 'web'), 'shop'), true);
  assert.equal(isServiceLabel(serviceLabel('shop', 'web'), 'workshop'), false);
  assert.equal(isServiceLabel('kube-vip.io/has-ip', ''), false);
});

test('labels of many Services are written together, and what a predecessor left goes', async () => {
  const clock = new FakeClock();
  const sent: Patch[] = [];
  const labels = new NodeLabels({
    patch: (patch) => {
      sent.push(patch);
      return Promise.resolve();
    },
    clock,
    random: () => 1,
    log: silentLogger,
  });
  for (const key of ['a', 'b', 'c']) labels.set(key, '192.0.2.1');
  await clock.flush();
  assert.deepEqual(sent.splice(0), [{ a: '192.0.2.1' }, { b: '192.0.2.1', c: '192.0.2.1' }]);
  labels.found('a', '192.0.2.1');
  labels.found('old', '192.0.2.9');
  await clock.flush();
  assert.deepEqual(sent.splice(0), [{ old: null }]);
  labels.set('b', '192.0.2.1');
  await clock.flush();
  assert.deepEqual(sent.splice(0), [], 'it is written already');
  await labels.close(5000);
  assert.deepEqual(sent, [{ a: null }, { b: null, c: null }]);
});

test('a right that is missing is told of once', async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => lines.push(message) };
  const patch = (): Promise<void> => Promise.reject(new Error('403'));
  const labels = new NodeLabels({ patch, clock, random: () => 1, log });
  labels.set('a', '192.0.2.1');
  await clock.advance(120_000);
  assert.equal(lines.length, 1);
});

test('SVC-33 a label that the Node lacks is written again, once a second at most', async () => {
  const sent: Patch[] = [];
  const clock = new FakeClock();
  const patch = (change: Patch): Promise<void> => {
    sent.push(change);
    return Promise.resolve();
  };
  const labels = new NodeLabels({ patch, clock, random: () => 1, log: silentLogger });
  labels.set('a', '1');
  labels.set('b', '2');
  await clock.flush();
  sent.splice(0);
  // Behind our own writes: no answer, if the rest follows.
  labels.see({ a: '1' });
  labels.see({ a: '1', b: '2' });
  await clock.advance(5000);
  assert.deepEqual(sent, []);
  // Registered anew, and again before that was seen.
  labels.see({ other: 'x' });
  labels.see({ a: 'by hand' });
  await clock.advance(900);
  assert.deepEqual(sent, []);
  await clock.advance(200);
  assert.deepEqual(sent, [{ a: '1', b: '2' }]);
  // What is not wanted any more is no loss.
  labels.set('a', null);
  await clock.flush();
  labels.see({ b: '2' });
  await clock.advance(5000);
  assert.deepEqual(sent.slice(1), [{ a: null }]);
  labels.see({});
  await labels.close(1000);
  await clock.advance(5000);
  assert.deepEqual(sent.slice(2), [{ b: null }]);
});
