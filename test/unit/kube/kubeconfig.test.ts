import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KubeconfigError, parseKubeconfig, readKubeconfig } from '../../../src/kube/index.ts';
import { kubeconfig } from './kubeconfig-text.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const pem = (label: string, text: string): string =>
  `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;

describe('kubeconfig', () => {
  it('takes the cluster and user of the current context', () => {
    const text = `
apiVersion: v1
kind: Config
current-context: b
contexts:
- {name: a, context: {cluster: one, user: one}}
- {name: b, context: {cluster: two, user: two, namespace: x}}
clusters:
- {name: one, cluster: {server: https://10.0.0.1:6443}}
- {name: two, cluster: {server: https://10.0.0.2:6443, certificate-authority-data: ${base64('CA')}, tls-server-name: api}}
users:
- {name: one, user: {token: t1}}
- {name: two, user: {client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')}}}
`;
    const config = parseKubeconfig(text, '/x');
    assert.deepEqual(config, {
      context: 'b',
      server: { scheme: 'https', host: '10.0.0.2', port: 6443, basePath: '' },
      ca: { text: 'CA' },
      cert: { text: 'CERT' },
      key: { text: 'KEY' },
      token: undefined,
      isInsecure: false,
      tlsServerName: 'api',
      proxy: undefined,
    });
  });

  it('takes a lone context when none is current, and JSON as well as YAML', () => {
    const text = JSON.stringify({
      contexts: [{ name: 'only', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://h:1', 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { tokenFile: 'token', token: 'loses' } }],
    });
    const config = parseKubeconfig(text, '/x');
    assert.deepEqual([config.context, config.isInsecure, config.token], ['only', true, { file: 'token' }]);
  });

  it('reads the files it names, relative ones beside itself', async () => {
    const files: Readonly<Record<string, string>> = {
      '/etc/k/config': kubeconfig({
        server: 'https://h:1',
        cluster: { 'certificate-authority': 'pki/ca.crt' },
        user: {
          'client-certificate': '/abs/client.crt',
          'client-key': './client.key',
          tokenFile: '../token',
        },
      }),
      '/etc/k/pki/ca.crt': `# ours\n${pem('CERTIFICATE', 'CA')}`,
      '/abs/client.crt': pem('CERTIFICATE', 'CERT'),
      '/etc/k/client.key': pem('EC PRIVATE KEY', 'KEY'),
      '/etc/token': 'secret\n',
    };
    const read = (file: string): Promise<string> => {
      const text = files[file];
      return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text);
    };
    const { ca, cert, key, token } = await readKubeconfig('/etc/k/config', read);
    const pems = [ca, cert, key].map((text) => /\n([A-Z]+)\n-----END/.exec(text ?? '')?.[1]);
    assert.deepEqual([...pems, token], ['CA', 'CERT', 'KEY', 'secret']);
    await assert.rejects(readKubeconfig('/nowhere', read), /kubeconfig \/nowhere: cannot be read: ENOENT/);
    // What a kubelet leaves behind where the host has no such file.
    const folder = (): Promise<string> =>
      Promise.reject(Object.assign(new Error('EISDIR'), { code: 'EISDIR' }));
    await assert.rejects(
      readKubeconfig('/etc/kubernetes/admin.conf', folder),
      /admin\.conf: cannot be read: it is a folder; a container runtime makes one where a file is mounted that/,
    );
  });

  const unusable: readonly (readonly [string, Parameters<typeof kubeconfig>[0], RegExp])[] = [
    [
      'a CA that is no certificate',
      { cluster: { 'certificate-authority-data': base64('garbage') } },
      /certificate-authority holds no certificate/,
    ],
    [
      'a CA that is cut off',
      {
        cluster: { 'certificate-authority-data': base64(pem('CERTIFICATE', 'CA').slice(0, -9)) },
      },
      /certificate-authority holds no certificate/,
    ],
    [
      'a key with a passphrase',
      {
        user: {
          'client-certificate-data': base64(pem('CERTIFICATE', 'C')),
          'client-key-data': base64(pem('ENCRYPTED PRIVATE KEY', 'K')),
        },
      },
      /client-key is encrypted: give one without a passphrase/,
    ],
    [
      'a certificate as key',
      {
        user: {
          'client-certificate-data': base64(pem('CERTIFICATE', 'C')),
          'client-key-data': base64(pem('CERTIFICATE', 'C')),
        },
      },
      /client-key holds no private key/,
    ],
    ['an empty token file', { user: { tokenFile: '/empty' } }, /tokenFile \/empty is empty/],
  ];
  for (const [what, parts, message] of unusable) {
    it(`refuses ${what} and says so`, async () => {
      const read = (file: string): Promise<string> =>
        Promise.resolve(file === '/x' ? kubeconfig(parts) : '\n');
      await assert.rejects(readKubeconfig('/x', read), message);
    });
  }

  const refusals: readonly (readonly [string, string, RegExp])[] = [
    [
      'an exec plugin',
      kubeconfig({ user: { exec: { command: 'aws' } } }),
      /exec plugins are not run: give a client certificate/,
    ],
    [
      'an auth provider',
      kubeconfig({ user: { 'auth-provider': { name: 'gcp' } } }),
      /auth-provider is not supported/,
    ],
    ['a password', kubeconfig({ user: { username: 'u', password: 'p' } }), /username and password/],
    [
      'a proxy',
      kubeconfig({ cluster: { 'proxy-url': 'socks5://x' } }),
      /proxy-url: only proxies that speak HTTP/,
    ],
    [
      'half a key pair',
      kubeconfig({ user: { 'client-certificate-data': base64('C') } }),
      /must be given together/,
    ],
    [
      'data that is not base64',
      kubeconfig({ cluster: { 'certificate-authority-data': '***' } }),
      /not base64/,
    ],
    ['a server that is none', kubeconfig({ server: 'ftp://x' }), /has no usable server: ftp:\/\/x/],
    ['a number as token', kubeconfig({ user: { token: 5 } }), /token is not a text/],
    ['impersonation', kubeconfig({ user: { token: 't', as: 'system:admin' } }), /as: nobody is impersonated/],
    ['no context', '{}', /current-context is not set/],
    ['an unknown context', 'current-context: x', /no context named "x"/],
    ['a list', '[]', /no mapping at the top/],
    ['broken YAML', 'a: [', /not valid YAML/],
    ['a bomb of aliases', bomb(), /not valid YAML/],
    ['too much', `a: ${'x'.repeat(2 << 20)}`, /larger than/],
  ];
  for (const [what, text, message] of refusals) {
    it(`refuses ${what} and says so`, () => {
      assert.throws(
        () => parseKubeconfig(text, '/etc/x'),
        (error) => {
          assert.ok(error instanceof KubeconfigError);
          assert.match(error.message, message);
          assert.match(error.message, /\/etc\/x/);
          return true;
        },
      );
    });
  }

  it('gives a value or a KubeconfigError for any text and any shape', () => {
    const isClean = (text: string): boolean => {
      try {
        parseKubeconfig(text, '/x');
      } catch (error) {
        return error instanceof KubeconfigError;
      }
      return true;
    };
    fc.assert(fc.property(fc.string(), isClean));
    const named = (body: string) =>
      fc.array(fc.record({ name: fc.constantFrom('a', 'b'), [body]: fc.oneof(fc.jsonValue(), fc.object()) }));
    const shaped = fc.record(
      {
        'current-context': fc.oneof(fc.constantFrom('a', 'b'), fc.jsonValue()),
        contexts: fc.oneof(named('context'), fc.jsonValue()),
        clusters: fc.oneof(named('cluster'), fc.jsonValue()),
        users: fc.oneof(named('user'), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(shaped, (value) => isClean(JSON.stringify(value))));
  });
});

/** Nine levels of nine references: a gigabyte if it were expanded. */
function bomb(): string {
  const levels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
  const lines = levels.map((name, i) => {
    const item = i === 0 ? 'x' : `*${levels[i - 1] ?? ''}`;
    return `${name}: &${name} [${Array(9).fill(item).join(', ')}]`;
  });
  return lines.join('\n');
}
