import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { fixedCredentials, leases, nodes, plainConnection } from '../../../src/kube/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { clientOf, eventually, failure, startApi } from './fixture.ts';
import type { ApiFixture } from './fixture.ts';
import { parsed } from './subject.ts';

/** Opens a watch on leases and waits until the server has it. */
async function openWatch({ api, client }: ApiFixture, timeoutSeconds = 300) {
  const ending = new AbortController();
  let isOpen = false;
  const seen: string[] = [];
  const done = client.watch(
    leases,
    { resourceVersion: String(api.revision), timeoutSeconds, signal: ending.signal },
    {
      opened: () => {
        isOpen = true;
      },
      event: (event) => seen.push(event.type),
    },
  );
  done.catch(() => undefined);
  await eventually('an open watch', () => isOpen);
  return { done, seen, ending };
}

describe('calls', () => {
  it('share one connection, watches have a second one', async (t) => {
    const fixture = await startApi(t);
    await Promise.all([1, 2, 3].map(() => fixture.client.raw('/version')));
    const { ending } = await openWatch(fixture);
    await openWatch(fixture);
    assert.equal(fixture.listener.accepted, 2);
    ending.abort();
  });

  it('end after their time, and the next one does not use the connection that kept silent', async (t) => {
    const { api, listener, client, clock } = await startApi(t);
    await client.raw('/version');
    const stall = api.fail({ path: '/api/v1/nodes' }, { stall: true });
    const late = failure(client.list(nodes, { timeoutMs: 700 }));
    await eventually('the request', () => stall.hits === 1);
    await clock.advance(700);
    const error = await late;
    assert.deepEqual([error.kind, error.message], ['timeout', 'GET /api/v1/nodes: no answer within 700 ms']);
    stall.clear();
    await client.list(nodes);
    assert.equal(listener.accepted, 2);
  });

  it('wait for a server that is slow, as long as its connection answers', async (t) => {
    const { api, client, clock } = await startApi(t);
    await client.raw('/version');
    const stall = api.fail({ path: '/api/v1/nodes' }, { stall: true });
    const slow = failure(client.list(nodes, { timeoutMs: 3000 }));
    await eventually('the request', () => stall.hits === 1);
    await clock.advance(1000); // a PING leaves
    await client.raw('/version'); // and is answered before this
    await clock.advance(2000);
    assert.equal((await slow).message, 'GET /api/v1/nodes: no answer within 3000 ms');
  });

  it('do not wait for a connection that answers nothing at all, and the next one does not use it', async (t) => {
    const { listener, client, clock } = await startApi(t);
    await client.raw('/version');
    listener.blackHole(true);
    const calls = [client.list(nodes), client.raw('/version')].map((call) => failure(call));
    await clock.advance(1500);
    for (const error of await Promise.all(calls)) {
      assert.equal(error.kind, 'timeout');
      assert.match(error.message, /no answer within 1500 ms, nor does the connection answer a PING/);
    }
    listener.blackHole(false);
    await client.list(nodes);
    assert.equal(listener.accepted, 2);
  });

  it('end at once when their caller gives up', async (t) => {
    const { api, client } = await startApi(t);
    const stall = api.fail({}, { stall: true });
    const giveUp = new AbortController();
    const call = failure(client.list(nodes, { signal: giveUp.signal }));
    await eventually('the request', () => stall.hits === 1);
    giveUp.abort();
    assert.equal((await call).kind, 'aborted');
    assert.equal((await failure(client.list(nodes, { signal: AbortSignal.abort() }))).kind, 'aborted');
  });

  it('say what the server said, with its wish when to come back', async (t) => {
    const { api, client } = await startApi(t);
    api.fail({ verb: 'get' }, { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 3 }, 1);
    const throttled = await failure(client.get(nodes, { name: 'a' }));
    assert.deepEqual([throttled.kind, throttled.status, throttled.retryAfterMs], ['throttled', 429, 3000]);
    api.fail({ verb: 'get' }, { status: 503 }, 1);
    assert.equal((await failure(client.get(nodes, { name: 'a' }))).kind, 'server');
    assert.equal((await failure(client.get(nodes, { name: 'a' }))).kind, 'not-found');
    assert.deepEqual(client.status().failures, { throttled: 1, server: 1, 'not-found': 1 });
    assert.equal(client.status().requests, 3);
  });

  it('never take garbage for an object', async (t) => {
    const { api, client } = await startApi(t);
    for (const garbage of [
      '',
      'hello',
      '[]',
      'null',
      '{}',
      '{"metadata":5}',
      '{"metadata":{"name":1}}',
      '{"metadata":{',
    ]) {
      api.fail({}, { garbage }, 1);
      const error = await failure(client.get(nodes, { name: 'a' }));
      assert.equal(error.kind, 'garbage', garbage);
    }
    for (const garbage of [
      '{}',
      '{"metadata":{}}',
      '{"metadata":{"resourceVersion":"1"},"items":[{}]}',
      '{"items":5,"metadata":{}}',
    ]) {
      api.fail({}, { garbage }, 1);
      const error = await failure(client.list(nodes));
      assert.equal(error.kind, 'garbage', garbage);
    }
  });

  it('stop reading an answer that is larger than allowed', async (t) => {
    const { api, client } = await startApi(t, { client: { maxBodyBytes: 1000 } });
    api.fail({}, { garbage: 'x'.repeat(5000) }, 1);
    const error = await failure(client.raw('/version'));
    assert.deepEqual(
      [error.kind, error.message],
      ['garbage', 'GET /version: the answer is larger than 1000 bytes'],
    );
    assert.equal((await client.raw('/version')).status, 200);
  });

  it('list all pages, and begin again when the continue token has expired', async (t) => {
    const { api, client } = await startApi(t, { client: { pageSize: 2 } });
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.put(nodes, { metadata: { name } });
    api.fail({ verb: 'list', path: /continue=/ }, { status: 410, reason: 'Expired' }, 1);
    const { items } = await client.list(nodes);
    assert.deepEqual(
      items.map((item) => item.metadata.name),
      ['a', 'b', 'c', 'd', 'e'],
    );
    assert.equal(api.requests.length, 5);
    api.fail({ verb: 'list', path: /continue=/ }, { status: 410, reason: 'Expired' });
    assert.equal((await failure(client.list(nodes))).kind, 'gone');
  });

  it('ask for smaller pages where the usual ones are too large, and only there', async (t) => {
    const { api, client } = await startApi(t, { client: { pageSize: 4, maxBodyBytes: 4000 } });
    const annotations = { note: 'x'.repeat(1300) };
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.put(nodes, { metadata: { name, annotations } });
    const { items } = await client.list(nodes);
    assert.deepEqual(
      items.map((item) => item.metadata.name),
      ['a', 'b', 'c', 'd', 'e'],
    );
    const limits = (): readonly string[] =>
      api.requests.map(({ query }) => new URLSearchParams(query).get('limit') ?? '');
    assert.deepEqual(limits(), ['4', '2', '2', '2']);
    await client.listPage(leases, {});
    assert.equal(limits().at(-1), '4');
    api.put(nodes, { metadata: { name: 'a', annotations: { note: 'x'.repeat(5000) } } });
    const error = await failure(client.list(nodes));
    assert.deepEqual([error.kind, error.reason], ['garbage', 'AnswerTooLarge']);
  });

  it('do not follow a list that goes in circles', async (t) => {
    const { api, client } = await startApi(t);
    const garbage = JSON.stringify({ items: [], metadata: { resourceVersion: '1', continue: 'again' } });
    api.fail({ verb: 'list' }, { garbage });
    assert.match((await failure(client.list(nodes))).message, /followed by itself/);
    assert.equal(api.requests.length, 2);
  });

  it('read again over a new connection when the old one was closed under them, but never write twice', async (t) => {
    const { api, listener, client } = await startApi(t);
    await client.raw('/version');
    api.fail({ verb: 'list' }, { close: true }, 1);
    await client.list(nodes);
    assert.equal(listener.accepted, 2);
    api.fail({ verb: 'create' }, { close: true }, 1);
    const error = await failure(client.create(nodes, { metadata: { name: 'a' } }));
    assert.equal(error.kind, 'unreachable');
    assert.equal(api.requests.filter((request) => request.verb === 'create').length, 1);
  });
});

describe('a connection', () => {
  it('carries no more streams than the server allows: watches beyond that get another one', async (t) => {
    const fixture = await startApi(t, { listen: { maxStreams: 3 } });
    const watches = await Promise.all(Array.from({ length: 8 }, () => openWatch(fixture)));
    assert.equal(fixture.listener.accepted, 3);
    watches[0]?.ending.abort();
    await eventually('the end of one', () => fixture.api.openWatches === 7);
    await Promise.all([openWatch(fixture), openWatch(fixture)]);
    assert.equal(fixture.listener.accepted, 3);
  });

  it('that answers no PING is given up: its streams fail at once and new ones go elsewhere', async (t) => {
    const fixture = await startApi(t, { client: { pingMs: 5000 } });
    const { listener, client, clock } = fixture;
    const watch = await openWatch(fixture);
    listener.blackHole(true);
    await clock.advance(5000); // the first PING leaves
    await clock.advance(5000); // unanswered once
    let ended = false;
    watch.done.catch(() => {
      ended = true;
    });
    await clock.flush();
    assert.ok(!ended);
    await clock.advance(5000);
    const error = await failure(watch.done);
    assert.equal(error.kind, 'unreachable');
    assert.match(error.message, /none of the last 2 PINGs/);
    listener.blackHole(false);
    await openWatch(fixture);
    await client.raw('/version');
  });

  it('on which the server does not end a watch in time is given up, and all watches on it', async (t) => {
    const fixture = await startApi(t, { client: { pingMs: 1e9 } });
    const short = await openWatch(fixture, 10);
    const long = await openWatch(fixture);
    await fixture.clock.advance(11_999);
    assert.equal(fixture.api.openWatches, 2);
    await fixture.clock.advance(1);
    assert.equal((await failure(short.done)).kind, 'timeout');
    assert.equal((await failure(long.done)).kind, 'unreachable');
    await openWatch(fixture);
    assert.equal(fixture.listener.accepted, 2);
  });

  it('survives a pause of the whole process: the answer was only not read yet', async (t) => {
    const fixture = await startApi(t, { client: { pingMs: 5000 } });
    const { clock, listener, client } = fixture;
    await client.raw('/version');
    listener.blackHole(true);
    await clock.advance(5000); // a PING leaves
    clock.pause(60_000);
    await clock.advance(0); // overdue, and its answer was not seen yet
    listener.blackHole(false);
    for (let i = 0; i < 3; i++) {
      await client.raw('/version');
      await clock.advance(5000);
    }
    assert.equal(listener.accepted, 1);
  });

  it('that said GOAWAY keeps its watches and gets no new calls', async (t) => {
    const fixture = await startApi(t);
    const { api, listener, client } = fixture;
    await client.raw('/version');
    const watch = await openWatch(fixture);
    api.goaway();
    await eventually('the idle connection to close', () => listener.openConnections === 1);
    await client.raw('/version');
    api.put(leases, { metadata: { namespace: 'a', name: 'b' } });
    await eventually('the event on the old watch', () => watch.seen.length === 1);
    await openWatch(fixture);
    assert.equal(listener.accepted, 4);
  });

  it('that breaks after a GOAWAY does not pass its watches off as ended in order', async (t) => {
    const fixture = await startApi(t);
    const watch = await openWatch(fixture);
    fixture.api.goaway();
    fixture.api.put(leases, { metadata: { namespace: 'a', name: 'b' } });
    await eventually('the event', () => watch.seen.length === 1);
    fixture.api.closeSockets();
    assert.equal((await failure(watch.done)).kind, 'unreachable');
  });

  it('is tried anew by whoever calls, at most about once a second, until the server is back', async (t) => {
    const api = new FakeApi();
    const first = await api.listen();
    const { port } = first;
    await first.close();
    const { client, clock } = clientOf(t, fixedCredentials(plainConnection(parsed(first.url))));
    const error = await failure(client.raw('/version'));
    assert.deepEqual([error.kind, error.reason], ['unreachable', 'ECONNREFUSED']);
    for (let i = 0; i < 6; i++) {
      const again = failure(client.raw('/version'));
      await clock.advance(1000);
      assert.equal((await again).kind, 'unreachable');
    }
    await api.listen({ port });
    t.after(() => api.close());
    const call = client.raw('/version');
    await clock.advance(1000);
    assert.equal((await call).status, 200);
  });

  it('to a server that accepts and hangs up is not tried in a loop', async (t) => {
    let accepted = 0;
    const server = createServer((socket) => {
      accepted++;
      socket.on('error', () => undefined);
      socket.write('\0\0\0\x04\0\0\0\0\0', () => socket.destroy()); // empty SETTINGS, then nothing
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { client, clock } = clientOf(
      t,
      fixedCredentials(plainConnection(parsed(`http://127.0.0.1:${port}`))),
    );
    for (let i = 0; i < 20; i++) {
      const call = failure(client.raw('/version', { timeoutMs: 100 }));
      for (let turns = 0; turns < 10; turns++) await clock.flush();
      await clock.advance(100);
      assert.ok(['unreachable', 'timeout'].includes((await call).kind));
    }
    assert.ok(accepted > 0 && accepted <= 10, `${accepted} connections in 2 s`);
  });

  it('that cannot be made within the call’s time is a timeout that says why', async (t) => {
    const { client, clock } = clientOf(t, fixedCredentials(plainConnection(parsed('http://127.0.0.1:1'))));
    await failure(client.raw('/version'));
    const call = failure(client.raw('/version', { timeoutMs: 5 }));
    await clock.advance(5);
    assert.match((await call).message, /no answer within 5 ms \(no connection: connect ECONNREFUSED/);
  });

  it('to something that speaks no HTTP is garbage or unreachable, never a crash', async (t) => {
    for (const greeting of ['HTTP/1.1 OK\r\n\r\n', 'SSH-2.0-x\r\n', '\0\0\0\0\0']) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.end(greeting);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const { client } = clientOf(t, fixedCredentials(plainConnection(parsed(`http://127.0.0.1:${port}`))));
      const error = await failure(client.raw('/version'));
      assert.ok(['garbage', 'unreachable'].includes(error.kind), error.message);
    }
  });
});
