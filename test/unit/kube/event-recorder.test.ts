import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { EventRecorder, events } from '../../../src/kube/index.ts';
import type { EventToRecord, KubeObject } from '../../../src/kube/index.ts';
import { eventually, startApi } from './fixture.ts';

async function setUp(t: TestContext) {
  const fixture = await startApi(t);
  const { client, clock, log } = fixture;
  const recorder = new EventRecorder({ client, clock, log }, { component: 'kube-vip', node: 'node-a' });
  return { ...fixture, recorder };
}

function event(message: string, more: Partial<EventToRecord> = {}): EventToRecord {
  return {
    subject: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u-1' },
    type: 'Normal',
    reason: 'Advertised',
    message,
    ...more,
  };
}

describe('events', () => {
  it('are written as core/v1 Events, in the namespace of their subject', async (t) => {
    const { client, recorder } = await setUp(t);
    recorder.record(event('announced at node-a'));
    recorder.record(
      event('n', { subject: { apiVersion: 'v1', kind: 'Node', name: 'node-a' }, type: 'Warning' }),
    );
    await eventually('both', () => recorder.status().written === 2);
    const { items } = await client.list<KubeObject & Record<string, unknown>>(events);
    const [onNode, onService] = items;
    assert.equal(onNode?.metadata.namespace, 'default');
    assert.deepEqual(
      { ...onService, metadata: undefined },
      {
        metadata: undefined,
        involvedObject: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u-1' },
        type: 'Normal',
        reason: 'Advertised',
        message: 'announced at node-a',
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        source: { component: 'kube-vip', host: 'node-a' },
        reportingComponent: 'kube-vip',
        reportingInstance: 'node-a',
      },
    );
    assert.match(onService?.metadata.name ?? '', /^web\.[0-9a-f]+$/);
  });

  it('that repeat raise the count of the first one, also after the server has forgotten it', async (t) => {
    const { api, client, clock, recorder } = await setUp(t);
    recorder.record(event('again'));
    await eventually('the first', () => recorder.status().written === 1);
    await clock.advance(2000);
    recorder.record(event('again'));
    await eventually('the second', () => recorder.status().written === 2);
    const [only, ...more] = (await client.list<KubeObject & Record<string, unknown>>(events)).items;
    assert.deepEqual([only?.count, only?.lastTimestamp, more.length], [2, '2026-01-01T00:00:02Z', 0]);

    api.remove(events, { namespace: 'shop', name: only?.metadata.name ?? '' });
    recorder.record(event('again'));
    await eventually('the third', () => recorder.status().written === 3);
    const [anew] = (await client.list<KubeObject & Record<string, unknown>>(events)).items;
    assert.equal(anew?.count, 3);
  });

  it('that several nodes record, or one after a restart, are one Event', async (t) => {
    const { client, clock, log, recorder } = await setUp(t);
    recorder.record(event('seen by all'));
    await eventually('the first', () => recorder.status().written === 1);
    await clock.advance(3000);
    const other = new EventRecorder({ client, clock, log }, { component: 'kube-vip', node: 'node-b' });
    other.record(event('seen by all'));
    other.record(event('seen by one'));
    await eventually('those of the other', () => other.status().written === 2);
    other.record(event('seen by all'));
    await eventually('its repeat', () => other.status().written === 3);
    const { items } = await client.list<KubeObject & Record<string, unknown>>(events);
    assert.deepEqual(
      items.map(({ message, count, lastTimestamp }) => [message, count, lastTimestamp]).sort(),
      [
        ['seen by all', 1, '2026-01-01T00:00:03Z'],
        ['seen by one', 1, '2026-01-01T00:00:03Z'],
      ],
    );
  });

  it('never make their caller wait, and are dropped beyond a queue that has a bound', async (t) => {
    const { api, recorder, clock } = await setUp(t);
    api.fail({ path: '/api/v1/namespaces/shop/events' }, { stall: true });
    for (let i = 0; i < 200; i++) recorder.record(event(`number ${i}`));
    const { dropped, queued } = recorder.status();
    assert.deepEqual([dropped, queued], [99, 100]);
    for (let i = 0; i < 50; i++) recorder.record(event('number 3')); // already waiting: only counted
    assert.equal(recorder.status().dropped, 99);
    api.clearFaults();
    await eventually('the request', () => api.requests.length === 1);
    await clock.advance(10_000);
    await eventually('the burst', () => recorder.status().written + recorder.status().dropped >= 124);
  });

  it('over the rate wait their turn; repeats of what was written do not', async (t) => {
    const { recorder, clock } = await setUp(t);
    for (let i = 0; i < 40; i++) recorder.record(event(`number ${i}`));
    await eventually('the burst', () => recorder.status().written === 25);
    await clock.flush();
    recorder.record(event('number 0'));
    assert.deepEqual([recorder.status().queued, recorder.status().dropped], [15, 1]);
    for (let i = 26; i <= 40; i++) {
      await clock.advance(5000);
      await eventually(`number ${i}`, () => recorder.status().written === i);
    }
    assert.deepEqual([recorder.status().queued, recorder.status().dropped], [0, 1]);
  });

  it('stop for five minutes when they are forbidden, with one warning', async (t) => {
    const { api, recorder, clock, log } = await setUp(t);
    api.fail({ verb: 'create' }, { status: 403 }, 1);
    recorder.record(event('one'));
    await eventually('the refusal', () => log.lines.length === 1);
    assert.match(log.lines[0] ?? '', /^warn events may not be written/);
    recorder.record(event('two'));
    await clock.flush();
    assert.equal(api.requests.length, 1);
    await clock.advance(300_000);
    recorder.record(event('three'));
    await eventually('the event', () => recorder.status().written === 1);
    assert.equal(log.lines.length, 1);
  });
});
