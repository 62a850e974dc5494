import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import {
  fixedCredentials,
  Http2KubeClient,
  leases,
  proxyOf,
  readKubeconfig,
  type Connection,
  type ServerAddress,
} from '../../../src/kube/index.ts';
import { createAuthority, FakeApi } from '../../../src/testing/fake-api/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { plainConnection } from '../../../src/kube/index.ts';
import { failure } from './fixture.ts';
import { kubeconfig } from './kubeconfig-text.ts';
import { parsed } from './subject.ts';

const proxyFor = (server: ServerAddress, environment: Readonly<Record<string, string>>) =>
  proxyOf(plainConnection(server), environment);

/** What a kubeconfig with this server and this proxy leads to. */
function fromFile(server: string, proxyUrl: string): Promise<Connection> {
  return readKubeconfig('/x', () =>
    Promise.resolve(kubeconfig({ server, cluster: { 'proxy-url': proxyUrl } })),
  );
}

const some = { HTTPS_PROXY: 'http://proxy.example:3128' };

describe('which proxy leads to an API server', () => {
  // What golang.org/x/net/http/httpproxy does with them.
  const rows: readonly (readonly [server: string, noProxy: string, isProxied: boolean])[] = [
    ['https://10.0.0.1:6443', '', true],
    ['https://10.0.0.1:6443', '10.0.0.1', false],
    ['https://10.0.0.1:6443', '10.0.0.1:6443', false],
    ['https://10.0.0.1:6443', '10.0.0.1:443', true],
    ['https://10.0.0.1:6443', ' a , 10.0.0.0/8 ', false],
    ['https://10.0.0.1:6443', '10.0.0.128/25', true],
    ['https://10.0.0.1:6443', '0.0.0.0/0', false],
    ['https://10.0.0.1:6443', '*', false],
    ['https://10.0.0.1:6443', '10.', true],
    ['https://[fd00::1]:6443', 'fd00::/64', false],
    ['https://[fd00::1]:6443', 'fd00:0::1', false],
    ['https://[fd00::1]:6443', '[fd00::1]:6443', false],
    ['https://[fd00::1]:6443', '10.0.0.0/8', true],
    ['https://api.example.com:6443', 'example.com', false],
    ['https://API.example.com:6443', '.Example.com', false],
    ['https://api.example.com:6443', '*.example.com:6443', false],
    ['https://example.com:6443', '.example.com', true],
    ['https://example.com:6443', '*.example.com', true],
    ['https://badexample.com:6443', 'example.com', true],
    ['https://localhost:6443', '', false],
    ['https://127.0.0.1:6443', '', false],
    ['https://[::1]:6443', '', false],
  ];
  for (const [server, noProxy, isProxied] of rows)
    test(`${server} beside NO_PROXY=${noProxy}: ${isProxied ? 'the proxy' : 'none'}`, () => {
      assert.equal(proxyFor(parsed(server), { ...some, NO_PROXY: noProxy }) !== undefined, isProxied);
      assert.equal(proxyFor(parsed(server), { ...some, no_proxy: noProxy }) !== undefined, isProxied);
    });

  const server = parsed('https://10.0.0.1:6443');
  test('either spelling of the variable, capitals first, with or without scheme; login and port are optional', () => {
    assert.equal(proxyFor(server, {}), undefined);
    assert.equal(proxyFor(server, { HTTPS_PROXY: '', HTTP_PROXY: 'http://p:1' }), undefined);
    assert.deepEqual(proxyFor(server, { https_proxy: 'p:1' }), {
      host: 'p',
      port: 1,
      authorization: undefined,
      name: 'HTTPS_PROXY p:1',
    });
    assert.equal(proxyFor(server, { https_proxy: 'p:1', HTTPS_PROXY: 'http://[fd00::2]' })?.host, 'fd00::2');
    const login = proxyFor(server, { HTTPS_PROXY: 'http://me:se%3Acret@p' });
    assert.equal(login?.authorization, `Basic ${Buffer.from('me:se:cret').toString('base64')}`);
    assert.deepEqual([login.port, login.name], [80, 'HTTPS_PROXY p:80'], 'no secret in the name');
  });

  test('what cannot be used is refused with the variable and the remedy, and only where it would be used', () => {
    for (const [value, why] of [
      ['socks5://p:1080', /^HTTPS_PROXY: only proxies that speak HTTP .*NO_PROXY/],
      ['https://p', /only proxies that speak HTTP/],
      ['http://', /^HTTPS_PROXY is no URL of a proxy/],
      ['http://a%zz@p', /user or password/],
    ] as const) {
      assert.throws(() => proxyFor(server, { HTTPS_PROXY: value }), { code: 'PROXY', message: why });
      assert.equal(proxyFor(server, { HTTPS_PROXY: value, NO_PROXY: '10.0.0.1' }), undefined);
    }
    const plain = parsed('http://10.0.0.1:8080');
    assert.equal(proxyFor(plain, some), undefined);
    assert.throws(
      () => proxyFor(plain, { HTTP_PROXY: 'http://p' }),
      /^ProxyError: HTTP_PROXY: .* without TLS/,
    );
  });

  test('any text is a proxy, none, or refused', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (value, noProxy) => {
        try {
          proxyFor(server, { HTTPS_PROXY: value, NO_PROXY: noProxy });
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'PROXY');
        }
      }),
    );
  });
});

describe('proxy-url of a kubeconfig', () => {
  test('leads to its server whatever the environment says, as with client-go', async () => {
    for (const server of ['https://10.0.0.1:6443', 'https://127.0.0.1:6443', 'https://api.example']) {
      const connection = await fromFile(server, 'http://me:se%3Acret@p:3128/');
      const login = `Basic ${Buffer.from('me:se:cret').toString('base64')}`;
      for (const environment of [{}, some, { ...some, NO_PROXY: '*' }])
        assert.deepEqual(proxyOf(connection, environment), {
          host: 'p',
          port: 3128,
          authorization: login,
          name: 'proxy-url p:3128',
        });
    }
    assert.equal(
      proxyOf(await fromFile('https://10.0.0.1', ''), some)?.name,
      'HTTPS_PROXY proxy.example:3128',
    );
  });

  test('that cannot be used is refused with the file and the remedy', async () => {
    for (const [url, why] of [
      [
        'socks5://p:1080',
        /^kubeconfig \/x: proxy-url: only proxies that speak HTTP .*give one, or take it out/,
      ],
      ['https://p', /only proxies that speak HTTP/],
      ['http://', /proxy-url is no URL of a proxy; write http/],
      ['http://a%zz@p', /user or password/],
    ] as const)
      await assert.rejects(fromFile('https://10.0.0.1', url), { code: 'KUBECONFIG', message: why });
    await assert.rejects(fromFile('http://10.0.0.1:8080', 'http://p'), /proxy-url: .* without TLS/);
  });
});

describe('an API server behind a proxy', () => {
  const authority = createAuthority('cluster');
  const tls = authority.issue('kube-apiserver', ['api.example', 'kubernetes']);

  /** An API server that only the proxy can reach, by a name that only the proxy knows. */
  async function scene(t: TestContext, status = 200, isLocal = false, isInFile = false) {
    const api = new FakeApi();
    const { port } = await api.listen({ host: '127.0.0.1', tls });
    const asked: IncomingMessage[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer().on('connect', (request: IncomingMessage, client: Socket) => {
      asked.push(request);
      sockets.add(client);
      client.on('error', () => undefined);
      if (status !== 200) {
        client.end(`HTTP/1.1 ${status} Forbidden\r\n\r\n`);
        return;
      }
      const server = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(server).pipe(client);
      });
      sockets.add(server.on('error', () => undefined));
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = `http://me:secret@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const environment = isInFile ? {} : { HTTPS_PROXY: url };
    const server = isLocal ? `https://kubernetes:${port}` : 'https://api.example:6443';
    const read = isInFile ? await fromFile(server, url) : plainConnection(parsed(server));
    const connection = { ...read, ca: authority.cert, fallsBackToLoopback: isLocal };
    const client = new Http2KubeClient({
      clock: new FakeClock(),
      random: () => 0.5,
      log: silentLogger,
      credentials: fixedCredentials(connection),
      proxy: (to) => proxyOf(to, environment),
      lookup: (_host, done) => {
        done(null, [{ address: '127.0.0.1', family: 4 }]);
      },
    });
    const end = (): void => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    };
    t.after(async () => {
      client.close();
      end();
      await api.close();
    });
    return { client, asked, end };
  }

  for (const [where, isInFile] of [
    ['the environment', false],
    ['a kubeconfig', true],
  ] as const)
    test(`of ${where} is asked over a tunnel, by its own name and with its own certificate`, async (t) => {
      const { client, asked } = await scene(t, 200, false, isInFile);
      const { items } = await client.list(leases);
      assert.deepEqual(items, []);
      const [first] = asked;
      assert.equal(first?.url, 'api.example:6443');
      assert.equal(first.headers.host, 'api.example:6443');
      const login = Buffer.from('me:secret').toString('base64');
      assert.equal(first.headers['proxy-authorization'], `Basic ${login}`);
    });

  test('on this machine it is not asked for: nobody else knows that name', async (t) => {
    const { client, asked } = await scene(t, 200, true);
    await client.list(leases);
    assert.deepEqual(asked, []);
  });

  test('that it refuses, or that is away itself, is named in the error, and its secret is not', async (t) => {
    const { client, end } = await scene(t, 403);
    const refused = await failure(client.list(leases));
    assert.equal(refused.kind, 'unreachable');
    assert.match(
      refused.message,
      /cannot connect to https:\/\/api\.example:6443: proxy HTTPS_PROXY 127\.0\.0\.1:\d+: it answered 403 Forbidden/,
    );
    end();
    const { client: other, end: gone } = await scene(t);
    gone();
    const away = await failure(other.list(leases));
    assert.match(away.message, /api\.example:6443: proxy HTTPS_PROXY 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
    for (const { message } of [refused, away]) assert.doesNotMatch(message, /secret/);
  });
});
