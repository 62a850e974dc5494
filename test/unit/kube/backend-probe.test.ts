import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createBackendProber } from '../../../src/kube/backend-probe.ts';
import type { Credentials } from '../../../src/kube/credentials.ts';

const signal = new AbortController().signal;
const host = '127.0.0.1';

/** A prober of a plain HTTP server that answers 200 with a body, and what it said was lost. */
async function scene() {
  const server = createServer((_, answer) => answer.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const lost: string[] = [];
  let heard = (): void => undefined;
  const nextLoss = new Promise<void>((resolve) => (heard = resolve));
  const credentials = { current: () => Promise.resolve({ server: { scheme: 'http' } }) };
  const prober = createBackendProber(credentials as unknown as Credentials, {
    port: (server.address() as AddressInfo).port,
    path: '/readyz',
    onLost: (which) => {
      lost.push(which);
      heard();
    },
  });
  const close = async (): Promise<void> => {
    prober.close();
    await new Promise((resolve) => server.close(resolve));
  };
  return { server, prober, lost, nextLoss, close };
}

test('a server that ends the connection between two probes is reported, once', async () => {
  const { server, prober, lost, nextLoss, close } = await scene();
  assert.equal(await prober.probe(host, signal), undefined);
  assert.equal(await prober.probe(host, signal), undefined);
  server.closeAllConnections();
  await nextLoss;
  assert.deepEqual(lost, [host]);
  await close();
});

test('a connection that the prober ends itself is not lost', async () => {
  const { prober, lost, close } = await scene();
  assert.equal(await prober.probe(host, signal), undefined);
  prober.forget(host);
  await close();
  assert.deepEqual(lost, []);
});
