import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { EventRecorder, events } from '../../../src/kube/index.ts';
import type { EventToRecord, KubeObject } from '../../../src/kube/index.ts';
import { eventually, startApi } from './fixture.ts';

async function setUp(t: TestContext) {
  // The clock jumps: no PING could be answered meanwhile.
  const fixture = await startApi(t, { client: { pingMs: 1e9 } });
  const { client, clock, log } = fixture;
  const recorder = new EventRecorder(
    { client, clock, random: () => 1, log },
    { component: 'kube-vip', node: 'node-a' },
  );
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
    const other = new EventRecorder(
      { client, clock, random: () => 1, log },
      { component: 'kube-vip', node: 'node-b' },
    );
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
    // The one that got no answer waits behind the others.
    await eventually('the burst', () => recorder.status().written === 24);
    assert.deepEqual([recorder.status().dropped, recorder.status().queued], [99, 76]);
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

  it('that the server cannot take now are written later, and hold up no others', async (t) => {
    const { api, client, clock, recorder } = await setUp(t);
    const fault = api.fail({ verb: 'create' }, { status: 500, reason: 'InternalError' });
    recorder.record(event('one'));
    await eventually('the failure', () => fault.hits === 1 && recorder.status().queued === 1);
    await clock.flush();
    fault.clear();
    recorder.record(event('two'));
    await eventually('the other', () => recorder.status().written === 1);
    assert.deepEqual([recorder.status().queued, recorder.status().dropped], [1, 0]);
    await clock.advance(5000);
    await eventually('the first', () => recorder.status().written === 2);
    const { items } = await client.list<KubeObject & { readonly message: string }>(events);
    assert.deepEqual(items.map(({ message }) => message).sort(), ['one', 'two']);
  });

  it('that the server can never take are given up after some minutes', async (t) => {
    const { api, clock, recorder } = await setUp(t);
    const fault = api.fail({ verb: 'create' }, { status: 503 });
    recorder.record(event('one'));
    await eventually('the end', () => {
      // In small steps, between which sockets work.
      void clock.advance(200);
      return recorder.status().dropped === 1;
    });
    assert.deepEqual([fault.hits, recorder.status().queued], [8, 0]);
  });

  it('that one namespace refuses, because it is being deleted, cost the others nothing', async (t) => {
    const { api, recorder, clock, log } = await setUp(t);
    const message = 'unable to create new content in namespace shop because it is being terminated';
    const fault = api.fail(
      { verb: 'create', path: '/api/v1/namespaces/shop/' },
      { status: 403, reason: 'Forbidden', message },
    );
    const elsewhere = { apiVersion: 'v1', kind: 'Service', namespace: 'bar', name: 'web' };
    recorder.record(event('one'));
    recorder.record(event('two'));
    recorder.record(event('three', { subject: elsewhere }));
    await eventually('the event', () => recorder.status().written === 1);
    assert.deepEqual([fault.hits, recorder.status().dropped], [1, 2]);
    assert.deepEqual(log.lines, ['warn events may not be written in this namespace']);
    await clock.advance(300_000);
    fault.clear();
    recorder.record(event('four'));
    await eventually('the next', () => recorder.status().written === 2);
  });

  it('stop for five minutes when they are forbidden everywhere', async (t) => {
    const { api, recorder, clock, log } = await setUp(t);
    api.fail({ verb: 'create' }, { status: 403 }, 3);
    const at = (namespace: string): Partial<EventToRecord> => {
      return { subject: { apiVersion: 'v1', kind: 'Service', namespace, name: 'web' } };
    };
    for (const namespace of ['a', 'b', 'c', 'd', 'e']) recorder.record(event('one', at(namespace)));
    await eventually('the refusals', () => recorder.status().dropped === 5);
    assert.match(log.lines[2] ?? '', /^warn events may not be written .missing permission/);
    assert.deepEqual([log.lines.length, api.requests.length], [3, 3]);
    await clock.advance(300_000);
    recorder.record(event('two', at('f')));
    await eventually('the event', () => recorder.status().written === 1);
  });
});
