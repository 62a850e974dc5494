import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { fixedCredentials, leases, nodes, plainConnection } from '../../../src/kube/index.ts';
import { createAuthority, FakeApi } from '../../../src/testing/fake-api/index.ts';
import { clientOf, eventually, failure, startApi } from './fixture.ts';
import { parsed } from './subject.ts';

const http1 = { listen: { http1Only: true } };

/** Answers whatever it is asked with these bytes, over and over. */
async function answering(t: TestContext, bytes: string): Promise<ReturnType<typeof clientOf>> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    // Whoever begins with the preface of HTTP/2 hears what a server says that does not know it.
    socket.on('data', (asked: Buffer) =>
      socket.write(asked.toString().startsWith('PRI') ? 'HTTP/1.1 400 Bad Request\r\n\r\n' : bytes),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return clientOf(t, fixedCredentials(plainConnection(parsed(`http://127.0.0.1:${port}`))));
}

describe('a server that speaks HTTP/1.1 only', () => {
  it('is found out once, said once, and asked over one kept connection', async (t) => {
    const { api, listener, client, log } = await startApi(t, http1);
    for (let i = 0; i < 3; i++) assert.equal((await client.raw('/version')).status, 200);
    assert.equal(listener.accepted, 2, 'one that tried HTTP/2, and the one that is kept');
    const ending = new AbortController();
    const watching = client.watch(
      leases,
      { resourceVersion: String(api.revision), timeoutSeconds: 300, signal: ending.signal },
      { event: () => undefined },
    );
    watching.catch(() => undefined);
    await eventually('an open watch', () => api.openWatches === 1);
    ending.abort();
    assert.equal(listener.accepted, 3, 'one for the watch');
    assert.deepEqual(
      log.lines.filter((line) => line.includes('HTTP/1.1')),
      [
        'warn the API server, or what stands in front of it, speaks HTTP/1.1 only: each watch takes a connection',
      ],
    );
  });

  it('is told by TLS without a try', async (t) => {
    const authority = createAuthority('ca');
    const tls = authority.issue('kube-apiserver', ['127.0.0.1']);
    const api = new FakeApi();
    const listener = await api.listen({ http1Only: true, tls });
    t.after(() => api.close());
    const { client } = clientOf(
      t,
      fixedCredentials({ ...plainConnection(parsed(listener.url)), ca: authority.cert }),
    );
    assert.equal((await client.raw('/version')).status, 200);
    await client.list(nodes);
    assert.equal(listener.accepted, 1);
  });

  it('serves calls that come together over connections of their own', async (t) => {
    const { client } = await startApi(t, http1);
    const answers = await Promise.all([1, 2, 3].map(() => client.raw('/version')));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
  });

  it('holds no call up behind another that gets no answer', async (t) => {
    const { api, client } = await startApi(t, http1);
    await client.raw('/version');
    const stall = api.fail({ path: '/api/v1/nodes' }, { stall: true });
    const waiting = failure(client.list(nodes));
    await eventually('the request', () => stall.hits === 1);
    assert.equal((await client.raw('/version')).status, 200);
    client.close();
    assert.equal((await waiting).kind, 'unreachable');
  });

  it('costs a connection with each call that gets no answer in time', async (t) => {
    const { api, listener, client, clock } = await startApi(t, http1);
    await client.raw('/version');
    const stall = api.fail({ path: '/api/v1/nodes' }, { stall: true });
    const late = failure(client.list(nodes, { timeoutMs: 3000 }));
    await eventually('the request', () => stall.hits === 1);
    await clock.advance(3000);
    assert.deepEqual(
      [(await late).kind, (await late).message],
      ['timeout', 'GET /api/v1/nodes: no answer within 3000 ms'],
    );
    stall.clear();
    await client.list(nodes);
    assert.equal(listener.accepted, 3);
  });

  it('has its watches ended by us when it forgets to, and by the caller', async (t) => {
    const { api, client, clock } = await startApi(t, http1);
    const ending = new AbortController();
    const watch = (timeoutSeconds: number): Promise<void> =>
      client.watch(
        leases,
        { resourceVersion: String(api.revision), timeoutSeconds, signal: ending.signal },
        { event: () => undefined },
      );
    const forgotten = failure(watch(10));
    await eventually('an open watch', () => api.openWatches === 1);
    await clock.advance(12_000);
    assert.match((await forgotten).message, /not ended within 12000 ms/);
    const given = failure(watch(300));
    await eventually('an open watch', () => api.openWatches === 1);
    ending.abort();
    assert.equal((await given).kind, 'aborted');
    await eventually('the end of the watch', () => api.openWatches === 0);
  });

  it('that closes a kept connection is asked again over another one', async (t) => {
    const { listener, client } = await startApi(t, http1);
    await client.raw('/version');
    listener.closeSockets();
    assert.equal((await client.raw('/version')).status, 200);
  });

  it('may break off in the middle of its answer, or answer anything: an error, never a crash', async (t) => {
    const json = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
    for (const [bytes, kind] of [
      [`${json}content-length: 2\r\n\r\n{}`, 'garbage'],
      [`${json}content-length: 20\r\nconnection: close\r\n\r\n{}`, 'timeout'],
      [`${json}transfer-encoding: chunked\r\n\r\nzz\r\n`, 'garbage'],
      ['SSH-2.0-x\r\n', 'garbage'],
      ['HTTP/1.1 301 Moved Permanently\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n', 'garbage'],
    ] as const) {
      const { client, clock } = await answering(t, bytes);
      const error = failure(client.get(nodes, { name: 'a' }, { timeoutMs: 500 }));
      if (kind === 'timeout') for (let i = 0; i < 20; i++) await clock.flush();
      if (kind === 'timeout') await clock.advance(500);
      assert.equal((await error).kind, kind, bytes);
    }
  });
});
