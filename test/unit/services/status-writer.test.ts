import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError } from '../../../src/kube/index.ts';
import type { KubeErrorKind } from '../../../src/kube/types.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import {
  ingressOf,
  isWritten,
  StatusWriter,
  type WantedStatus,
} from '../../../src/services/status-writer.ts';
import type { Service } from '../../../src/services/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const wish = (vip: string, port = 80): WantedStatus => ({
  ingress: [{ ip: vip, ports: [{ port, protocol: 'TCP' }] }],
  vipHost: 'node-a',
});

/** A writer over Services that are written when the test says so. */
function scene() {
  const clock = new FakeClock();
  const services = new Map<string, Service>();
  const open = new Map<
    string,
    { done: () => void; fail: (kind: KubeErrorKind) => void; signal: AbortSignal }
  >();
  const log: string[] = [];
  const writer = new StatusWriter({
    write: (service, wanted, signal) => {
      const key = service.metadata.name ?? '';
      log.push(`${key} ${wanted.ingress[0]?.ip ?? '-'}`);
      return new Promise<void>((resolve, reject) => {
        open.set(key, {
          signal,
          done: () => {
            put(key, wanted);
            resolve();
          },
          fail: (kind) => {
            reject(new KubeError({ kind, message: kind, status: 409, path: '' }));
          },
        });
      });
    },
    read: (key) => services.get(key),
    clock,
    random: () => 1,
    log: silentLogger,
  });
  const put = (name: string, wanted?: WantedStatus): void => {
    services.set(name, {
      metadata: {
        name,
        ...(wanted === undefined ? {} : { annotations: { 'kube-vip.io/vipHost': wanted.vipHost ?? '' } }),
      },
      spec: { ports: [{ port: 80 }] },
      ...(wanted === undefined ? {} : { status: { loadBalancer: { ingress: wanted.ingress } } }),
    });
  };
  return { clock, services, open, log, writer, put };
}

test('one entry for each VIP with the ports, and nothing is written twice', async () => {
  const { writer, put, log, open, clock } = scene();
  put('web');
  writer.want('web', wish('192.0.2.1'));
  writer.want('web', wish('192.0.2.1'));
  assert.deepEqual(log, ['web 192.0.2.1']);
  open.get('web')?.done();
  await clock.flush();
  writer.want('web', wish('192.0.2.1'));
  assert.deepEqual(log, ['web 192.0.2.1']);
  const service: Service = { metadata: {}, spec: { ports: [{ port: 53, protocol: 'UDP' }] } };
  assert.deepEqual(ingressOf(service, ['192.0.2.1', '2001:db8::1']), [
    { ip: '192.0.2.1', ports: [{ port: 53, protocol: 'UDP' }] },
    { ip: '2001:db8::1', ports: [{ port: 53, protocol: 'UDP' }] },
  ]);
  assert.ok(!isWritten(service, { ingress: [], vipHost: 'x' }));
});

test('a later wish replaces an earlier one, also while that is being written', async () => {
  const { writer, put, log, open, clock } = scene();
  put('web');
  writer.want('web', wish('192.0.2.1'));
  writer.want('web', wish('192.0.2.2'));
  writer.want('web', wish('192.0.2.3'));
  open.get('web')?.done();
  await clock.advance(100);
  assert.deepEqual(log, ['web 192.0.2.1', 'web 192.0.2.3']);
});

test('SVC-20 a conflict is retried on the newer version, and a withdrawn Service is given up', async () => {
  const { writer, put, log, open, clock } = scene();
  put('web');
  writer.want('web', wish('192.0.2.1'));
  open.get('web')?.fail('conflict');
  await clock.flush();
  writer.want('web', wish('192.0.2.1'));
  assert.equal(log.length, 2, 'at once when the newer version is here');
  open.get('web')?.fail('conflict');
  await clock.advance(200);
  assert.equal(log.length, 3, 'and after a while by itself');
  writer.drop('web');
  assert.equal(open.get('web')?.signal.aborted, true);
  open.get('web')?.fail('conflict');
  await clock.advance(60_000);
  assert.equal(log.length, 3);
});

test('a Service that is refused or hangs does not delay the others', async () => {
  const { writer, put, log, open, clock } = scene();
  for (let i = 0; i < 200; i++) put(`s${i}`);
  writer.want('s0', wish('192.0.2.1'));
  writer.want('s1', wish('192.0.2.1'));
  open.get('s1')?.fail('forbidden');
  for (let i = 2; i < 200; i++) writer.want(`s${i}`, wish('192.0.2.1'));
  assert.ok(writer.counts().inFlight <= 16);
  for (let round = 0; round < 200; round++) {
    for (const [key, { done }] of open) if (key !== 's0' && key !== 's1') done();
    await clock.flush();
  }
  assert.equal(new Set(log).size, 200);
  assert.equal(writer.counts().waiting, 2);
});

test('Services that hang wait for one another, and nobody else for them', async () => {
  const { writer, put, log, open, clock } = scene();
  for (let i = 0; i < 40; i++) put(`hang${i}`);
  for (let i = 0; i < 40; i++) writer.want(`hang${i}`, wish('192.0.2.1'));
  const good = (name: string): void => {
    put(name);
    writer.want(name, wish('192.0.2.2'));
  };
  good('one');
  assert.equal(log.length, 16);
  await clock.advance(1500);
  assert.ok(log.includes('one 192.0.2.2'), 'as soon as those before have hung for half a second each');
  open.get('one')?.done();
  await clock.flush();
  assert.equal(writer.counts().inFlight, 40);
  for (let i = 0; i < 40; i++) open.get(`hang${i}`)?.fail('timeout');
  await clock.advance(100);
  assert.equal(writer.counts().inFlight, 24);
  good('two');
  assert.equal(log.at(-1), 'two 192.0.2.2', 'at once: those that hung do not take its place');
  assert.equal(writer.counts().inFlight, 25);
});

test('however many Services hang, others are written', async () => {
  const { writer, put, log, open, clock } = scene();
  for (let i = 0; i < 200; i++) put(`hang${i}`);
  for (let i = 0; i < 200; i++) writer.want(`hang${i}`, wish('192.0.2.1'));
  put('good');
  writer.want('good', wish('192.0.2.2'));
  for (let turn = 0; turn < 14; turn++) {
    await clock.advance(500);
    for (const { signal, fail } of open.values()) if (signal.aborted) fail('aborted');
    await clock.flush();
    if (log.at(-1)?.startsWith('good') === true) open.get('good')?.done();
  }
  assert.ok(log.includes('good 192.0.2.2'), 'as soon as those before have hung for half a second each');
  const { inFlight, waiting } = writer.counts();
  assert.equal(inFlight, 96, 'these may take their time');
  assert.equal(waiting, 200, 'and none is forgotten');
});

test('a Service that is gone is no error', async () => {
  const { writer, put, log, open, clock } = scene();
  put('web');
  writer.want('web', wish('192.0.2.1'));
  open.get('web')?.fail('not-found');
  await clock.advance(60_000);
  assert.equal(log.length, 1);
  assert.equal(writer.counts().waiting, 0);
});

test('an endpoint that changes all the time does not shorten the back-off of a refused write', async () => {
  const { writer, put, log, open, clock } = scene();
  put('web');
  writer.want('web', wish('192.0.2.1'));
  for (let i = 0; i < 50; i++) {
    open.get('web')?.fail('forbidden');
    await clock.flush();
    writer.want('web', wish('192.0.2.1'));
  }
  assert.equal(log.length, 1);
});

test('two writers of one Service answer each other less and less often; a wish of our own does not wait', async () => {
  const clock = new FakeClock();
  const service: { current: Service } = {
    current: { metadata: { name: 'web', resourceVersion: '1' }, spec: { ports: [{ port: 80 }] } },
  };
  const writes: string[] = [];
  const writers = new Map<string, StatusWriter>();
  const wants = new Map<string, WantedStatus>();
  let version = 1;
  /** What each writer hears of the other it answers, as a holder does. */
  const tell = (): void => {
    for (const [name, writer] of writers) writer.want('web', wants.get(name) ?? wish('-'));
  };
  const add = (vipHost: string): void => {
    const write = (_service: Service, wanted: WantedStatus): Promise<void> => {
      writes.push(`${wanted.vipHost ?? ''} ${wanted.ingress[0]?.ip ?? ''}`);
      service.current = {
        ...service.current,
        metadata: {
          name: 'web',
          resourceVersion: String(++version),
          annotations: { 'kube-vip.io/vipHost': wanted.vipHost ?? '' },
        },
        status: { loadBalancer: { ingress: wanted.ingress } },
      };
      clock.after('watch', 5, tell);
      return Promise.resolve();
    };
    const tools = { clock, random: () => 1, log: silentLogger };
    writers.set(vipHost, new StatusWriter({ write, read: () => service.current, ...tools }));
    wants.set(vipHost, { ...wish('192.0.2.1'), vipHost });
  };
  add('a');
  add('b');
  tell();
  await clock.advance(10_000);
  assert.ok(writes.length >= 6 && writes.length <= 12, `${writes.length} writes in 10 s`);
  writes.length = 0;
  await clock.advance(600_000);
  assert.ok(writes.length >= 10 && writes.length <= 40, `${writes.length} writes in the next 10 minutes`);
  writes.length = 0;
  wants.set('a', { ...wish('192.0.2.9'), vipHost: 'a' });
  tell();
  assert.deepEqual(writes, ['a 192.0.2.9']);
  // The other one has gone; after a while all is as before.
  writers.delete('b');
  await clock.advance(400_000);
  writes.length = 0;
  service.current = { ...service.current, status: {}, metadata: { name: 'web', resourceVersion: 'x' } };
  tell();
  await clock.advance(0);
  assert.equal(writes.length, 1);
});
