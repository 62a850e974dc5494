import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import type { LogFields, Logger } from '../../../src/lib/log.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { openHealthListener, openStatusListener } from '../../../src/observe/http.ts';
import {
  farewell,
  formatListenAddress,
  openHttpListener,
  parseListenAddress,
  plainReply,
} from '../../../src/observe/http-listener.ts';
import type { HttpListener } from '../../../src/observe/http-listener.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { lazily, type StatusDocument } from '../../../src/observe/status.ts';
import { loggerTo } from '../../../src/testing/logger.ts';
import { statusDocument } from './status-document.ts';

const open: HttpListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close(0);
});

async function urlOf(listener: HttpListener | undefined): Promise<string> {
  assert.ok(listener);
  open.push(listener);
  const address = await listener.listening;
  assert.ok(address);
  return `http://127.0.0.1:${address.port}`;
}

function statusListener(notReady: readonly string[] = []): HttpListener | undefined {
  const status = (): ReturnType<typeof statusDocument> => ({ ...statusDocument(), notReady });
  return openStatusListener({
    address: '127.0.0.1:0',
    metrics: createMetrics(),
    status,
    notReady: () => notReady,
    log: silentLogger,
  });
}

interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

const logTo = (lines: LoggedLine[]): Logger =>
  loggerTo((level, message, fields) => void lines.push({ level, message, fields }));

describe('the metrics listener', () => {
  test('answers /metrics in exposition format', async () => {
    const response = await fetch(`${await urlOf(statusListener())}/metrics?x=1`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(await response.text(), /^# TYPE kube_vip_build_info gauge$/m);
  });

  test('answers /status with the document as JSON', async () => {
    const response = await fetch(`${await urlOf(statusListener())}/status`);
    assert.deepEqual(await response.json(), JSON.parse(JSON.stringify(statusDocument())));
  });

  test('answers /healthz always and /readyz with the reasons while not ready', async () => {
    const url = await urlOf(statusListener(['no word from the API server yet']));
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    const response = await fetch(`${url}/readyz`);
    assert.equal(response.status, 503);
    assert.equal(await response.text(), 'no word from the API server yet\n');
    assert.equal((await fetch(`${await urlOf(statusListener())}/readyz`)).status, 200);
  });

  test('/readyz asks for nothing but the reasons, and waits for no other answer', async () => {
    let isReading = false;
    let isAnswered = false;
    const listener = openStatusListener({
      address: '127.0.0.1:0',
      metrics: createMetrics(),
      status: () => ({
        ...statusDocument(),
        vips: lazily(function* () {
          isReading = true;
          for (const end = performance.now() + 10_000; !isAnswered && performance.now() < end;)
            yield* statusDocument().vips;
          isReading = false;
        }),
      }),
      notReady: () => [],
      log: silentLogger,
    });
    const url = await urlOf(listener);
    const status = fetch(`${url}/status`);
    while (!isReading) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal(isReading, true, 'the status is still being made');
    isAnswered = true;
    assert.equal((await status).status, 200);
  });

  test('an answer that takes many turns is complete before the next one is begun', async () => {
    const metrics = createMetrics();
    const order: string[] = [];
    let number = 0;
    metrics.onScrape(function* (): Generator<''> {
      const own = ++number;
      order.push(`begin ${own}`);
      for (const end = performance.now() + 30; performance.now() < end;) yield '';
      order.push(`end ${own}`);
    });
    const url = await urlOf(
      openStatusListener({
        address: '127.0.0.1:0',
        metrics,
        status: statusDocument,
        notReady: () => [],
        log: silentLogger,
      }),
    );
    await Promise.all([fetch(`${url}/metrics`), fetch(`${url}/metrics`)]);
    assert.deepEqual(order, ['begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  test('a text that fails in the middle is a 500, and the next one is made', async () => {
    let isBroken = true;
    const status = (): StatusDocument => ({
      ...statusDocument(),
      leases: lazily(function* () {
        yield* statusDocument().leases;
        if (isBroken) throw new Error('oops');
      }),
    });
    const options = { metrics: createMetrics(), status, notReady: () => [], log: silentLogger };
    const url = await urlOf(openStatusListener({ address: '127.0.0.1:0', ...options }));
    assert.equal((await fetch(`${url}/status`)).status, 500);
    isBroken = false;
    assert.equal((await fetch(`${url}/status`)).status, 200);
  });

  test('answers any other path with a page that links to /metrics', async () => {
    const response = await fetch(`${await urlOf(statusListener())}/anything`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(await response.text(), /<a href="\/metrics">/);
  });

  test('takes GET and HEAD only', async () => {
    const url = await urlOf(statusListener());
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 405);
    assert.equal((await fetch(`${url}/metrics`, { method: 'HEAD' })).status, 200);
  });

  test('is off when its address is empty, and a broken address is only logged', () => {
    const lines: LoggedLine[] = [];
    const options = {
      metrics: createMetrics(),
      status: statusDocument,
      notReady: () => [],
      log: logTo(lines),
    };
    assert.equal(openStatusListener({ ...options, address: '' }), undefined);
    assert.equal(lines.length, 0);
    assert.equal(openStatusListener({ ...options, address: 'nonsense' }), undefined);
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['error'],
    );
  });
});

test('CP-206 the health listener answers GET /healthz with 200 OK and anything else with 404', async () => {
  const probe = createServer().listen(0);
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const url = await urlOf(openHealthListener({ port, log: silentLogger }));
  const response = await fetch(`${url}/healthz`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'OK');
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
  assert.equal(openHealthListener({ port: 0, log: silentLogger }), undefined);
});

test('CP-205 a port that is taken is one error line and nothing else', async () => {
  const url = new URL(await urlOf(statusListener()));
  const lines: LoggedLine[] = [];
  const second = openStatusListener({
    address: url.host,
    metrics: createMetrics(),
    status: statusDocument,
    notReady: () => [],
    log: logTo(lines),
  });
  assert.equal(await second?.listening, undefined);
  await second?.close(1000);
  assert.deepEqual(
    lines.map(({ level, fields }) => [
      level,
      fields['address'],
      (fields['error'] as NodeJS.ErrnoException).code,
    ]),
    [['error', url.host, 'EADDRINUSE']],
  );
});

describe('a listener', () => {
  test('whose answer throws says 500 and goes on', async () => {
    const lines: LoggedLine[] = [];
    const listener = openHttpListener({
      name: 'test listener',
      listen: { host: '127.0.0.1', port: 0 },
      answer: (path) => {
        if (path === '/bad') throw new Error('broken');
        return plainReply(200, 'fine');
      },
      log: logTo(lines),
    });
    const url = await urlOf(listener);
    assert.equal((await fetch(`${url}/bad`)).status, 500);
    assert.equal(await (await fetch(`${url}/good`)).text(), 'fine');
    assert.ok(lines.some(({ level, message }) => level === 'error' && message.includes('failed to answer')));
  });

  test('closes in time although a client holds a half-sent request', async () => {
    const listener = statusListener();
    const url = new URL(await urlOf(listener));
    const client = connect(Number(url.port), url.hostname);
    client.on('error', () => undefined);
    await once(client, 'connect');
    client.write('GET /metrics HTTP/1.1\r\nhost: x\r\n');
    // A full answer on another connection proves that the half one has been read.
    await (await fetch(`${url.href}metrics`)).text();
    const started = performance.now();
    await listener?.close(100);
    assert.ok(performance.now() - started < 1000);
    client.destroy();
  });

  test('says farewell to who keeps a connection and asks nothing, at once, and to nobody else', async () => {
    const listener = openHttpListener({
      name: 'test',
      listen: { host: '127.0.0.1', port: 0 },
      answer: () => plainReply(200, 'well'),
      log: silentLogger,
    });
    const { port } = new URL(await urlOf(listener));
    const watcher = connect(Number(port), '127.0.0.1');
    const reader = connect(Number(port), '127.0.0.1');
    const heard = new Map([watcher, reader].map((socket) => [socket, '']));
    for (const [socket] of heard)
      socket.setEncoding('latin1').on('data', (text: string) => {
        heard.set(socket, (heard.get(socket) ?? '') + text);
      });
    await Promise.all([once(watcher, 'connect'), once(reader, 'connect')]);
    reader.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(reader, 'data');
    await listener.close(60_000);
    assert.equal(heard.get(watcher), farewell);
    assert.match(heard.get(reader) ?? '', /well$/);
  });
  test('closes at once when it never listened', async () => {
    const url = new URL(await urlOf(statusListener()));
    const second = openStatusListener({
      address: url.host,
      metrics: createMetrics(),
      status: statusDocument,
      notReady: () => [],
      log: silentLogger,
    });
    assert.ok(second);
    await second.close(60_000);
  });

  const addresses: readonly (readonly [string, string | undefined])[] = [
    [':2112', ':2112'],
    ['127.0.0.1:9999', '127.0.0.1:9999'],
    ['localhost:80', 'localhost:80'],
    ['[::1]:2112', '[::1]:2112'],
    ['::1:2112', undefined],
    ['2112', undefined],
    [':70000', undefined],
    ['host:', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of addresses) {
    test(`takes the address ${JSON.stringify(text)}: ${expected ?? 'no'}`, () => {
      const parsed = parseListenAddress(text);
      assert.equal(parsed && formatListenAddress(parsed), expected);
    });
  }
});

describe('a crowd at a listener', () => {
  /** A connection that sends this text and reads nothing. */
  async function silentClient(url: URL, text: string): Promise<Socket> {
    const client = connect(Number(url.port), url.hostname);
    client.on('error', () => undefined);
    await once(client, 'connect');
    client.pause();
    if (text !== '') client.write(text);
    return client;
  }

  test('keeps no probe out: connections that ask nothing make room', async () => {
    const url = new URL(await urlOf(statusListener()));
    const crowd: Socket[] = [];
    for (let i = 0; i < 400; i++)
      crowd.push(await silentClient(url, i % 2 === 0 ? '' : 'GET / HTTP/1.1\r\n'));
    assert.equal((await fetch(`${url.href}healthz`)).status, 200);
    for (const client of crowd) client.destroy();
  });

  test('is not answered faster than it reads: a second request on top of the first ends the connection', async () => {
    let answers = 0;
    const listener = openHttpListener({
      name: 'test listener',
      listen: { host: '127.0.0.1', port: 0 },
      answer: () => {
        answers++;
        return plainReply(200, 'x'.repeat(100_000));
      },
      log: silentLogger,
    });
    const url = new URL(await urlOf(listener));
    const client = await silentClient(url, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(500));
    const ended = once(client, 'close');
    client.resume();
    await ended;
    assert.ok(answers <= 2, `${answers} answers were made`);
    assert.equal((await fetch(url)).status, 200);
  });

  test('may ask again on the same connection once it is answered', async () => {
    const url = await urlOf(statusListener());
    for (let i = 0; i < 20; i++) assert.equal(await (await fetch(`${url}/healthz`)).text(), 'OK');
  });
});
