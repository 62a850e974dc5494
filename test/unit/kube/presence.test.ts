import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { withPresence, type createBackendProber } from '../../../src/kube/index.ts';
import { eventually } from './fixture.ts';

type BackendProber = ReturnType<typeof createBackendProber>;

const { signal } = new AbortController();
const host = '127.0.0.1';

/** A neighbour that listens, or not, beside an API server that is always well. */
async function scene(t: TestContext, covers: (host: string) => boolean = () => true) {
  const sockets = new Set<Socket>();
  const open = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    return server;
  };
  let server = await open(0);
  const { port } = server.address() as AddressInfo;
  const changes: string[] = [];
  const api: BackendProber = {
    probe: async () => undefined,
    forget: () => undefined,
    close: () => undefined,
  };
  const prober = withPresence(api, { port, covers, onChange: (which) => changes.push(which) });
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server.close();
  };
  t.after(() => {
    prober.close();
    end();
  });
  return {
    prober,
    changes,
    connected: () => sockets.size,
    end,
    begin: async () => {
      server = await open(port);
    },
  };
}

/** What a probe says, as often as it takes to say this. */
async function says(prober: BackendProber, wanted: RegExp): Promise<void> {
  let said = '';
  await eventually(`a probe that says ${wanted.source}`, () => {
    void prober.probe(host, signal).then(
      () => (said = 'well'),
      (error: unknown) => (said = String(error)),
    );
    return wanted.test(said);
  });
}

test('a server beside which our program runs is asked as ever, over one connection to the program', async (t) => {
  const { prober, connected, changes } = await scene(t);
  for (let i = 0; i < 3; i++) assert.equal(await prober.probe(host, signal), undefined);
  await eventually('a connection', () => connected() === 1);
  assert.equal(await prober.probe(host, signal), undefined);
  assert.equal(connected(), 1);
  assert.deepEqual(changes, []);
});

test('one beside which it has ended is asked at once, refuses, and serves when it is back', async (t) => {
  const { prober, connected, changes, end, begin } = await scene(t);
  await prober.probe(host, signal);
  await eventually('a connection', () => connected() === 1);
  end();
  await eventually('the news', () => changes.length > 0);
  await says(prober, /kube-vip does not run there.*ECONNREFUSED 127\.0\.0\.1/);
  await assert.rejects(prober.probe(host, signal), { code: 'ECONNREFUSED' });
  await begin();
  await says(prober, /^well$/);
});

test('an address at which it does not listen says nothing, nor does one that was forgotten', async (t) => {
  const { prober, end, changes } = await scene(t, () => false);
  end();
  await says(prober, /^well$/);
  prober.forget(host);
  assert.deepEqual(changes, []);
});
