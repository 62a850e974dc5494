import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { withPresence, type createBackendProber } from '../../../src/kube/index.ts';
import { eventually } from './fixture.ts';

type BackendProber = ReturnType<typeof createBackendProber>;

const { signal } = new AbortController();
const host = '127.0.0.1';

const farewell = 'farewell';

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
  let apiServer: () => Promise<string | undefined> = async () => undefined;
  const api: BackendProber = {
    probe: () => apiServer(),
    forget: () => undefined,
    close: () => undefined,
  };
  const prober = withPresence(api, { port, farewell, covers, onChange: (which) => changes.push(which) });
  /** In good order, or as the kernel does for one that was killed. */
  const end = (words = farewell): void => {
    for (const socket of sockets) socket.end(words);
    sockets.clear();
    server.close();
  };
  t.after(() => {
    prober.close();
    end();
  });
  return {
    prober,
    apiServer: (answer: () => Promise<string | undefined>) => {
      apiServer = answer;
    },
    changes,
    connected: () => sockets.size,
    end,
    begin: async () => {
      server = await open(port);
    },
  };
}

/** What a probe says, as often as it takes to say this. */
async function says(prober: ReturnType<typeof withPresence>, wanted: RegExp): Promise<void> {
  let said = '';
  await eventually(`a probe that says ${wanted.source}`, () => {
    void prober.probe(host, signal).then(
      (answer) => (said = answer === undefined ? 'well' : JSON.stringify(answer)),
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

test('one beside which it was killed keeps its connections, as long as it answers, and gets no new ones', async (t) => {
  const { prober, connected, end, begin, apiServer } = await scene(t);
  await prober.probe(host, signal);
  await eventually('a connection', () => connected() === 1);
  end('');
  await says(prober, /^{"keepsOnly":"kube-vip was killed there \(connect ECONNREFUSED 127\.0\.0\.1:\d+\)"}$/);
  apiServer(async () => '/readyz answered 500');
  await says(prober, /^"\/readyz answered 500"$/);
  apiServer(() => Promise.reject(new Error('no answer')));
  await says(prober, /no answer/);
  apiServer(async () => undefined);
  await begin();
  await says(prober, /^well$/);
});

test('of one that was never there it is said what else may refuse, and what to do', async (t) => {
  const { prober, end } = await scene(t);
  end();
  await says(
    prober,
    /does not run there.*if it does, let the .* reach that TCP port, or set prometheus_server/,
  );
});

test('an address at which it does not listen says nothing, nor does one that was forgotten', async (t) => {
  const { prober, end, changes } = await scene(t, () => false);
  end();
  await says(prober, /^well$/);
  prober.forget(host);
  assert.deepEqual(changes, []);
});
