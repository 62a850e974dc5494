import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { leases, openKubeClient, proxyOf, selectClient } from '../../../src/kube/index.ts';
import type { ClientInputs, Http2KubeClient, OpenComponents } from '../../../src/kube/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeApi, createAuthority } from '../../../src/testing/fake-api/index.ts';
import type { ApiListener } from '../../../src/testing/fake-api/index.ts';
import { recordingLogger, type RecordingLogger } from '../../../src/testing/logger.ts';
import { ip } from '../../../src/lib/ip.ts';
import { failure } from './fixture.ts';
import { kubeconfig } from './kubeconfig-text.ts';

const admin = '/etc/kubernetes/admin.conf';
const VIP = '10.0.0.100';
const authority = createAuthority('cluster');
const strangers = createAuthority('strangers');
/** As kubeadm makes it: the VIP and an address without an API server are in it too. */
const serverPair = authority.issue('kube-apiserver', [
  'kubernetes',
  VIP,
  '127.0.0.9',
  '127.0.0.3',
  '127.0.0.1',
]);
const clientPair = authority.issue('kubernetes-admin', []);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the client a configuration leads to', () => {
  const api = new FakeApi();
  let local: ApiListener;

  before(async () => {
    const tls = { ...serverPair, clientCa: authority.cert };
    local = await api.listen({ host: '127.0.0.1', tls });
    await api.listen({ host: '127.0.0.3', port: local.port, tls });
  });
  after(() => api.close());

  /** A kubeconfig as kubeadm writes it: this server, the cluster's authority, a client certificate. */
  function adminConf(server: string): string {
    return kubeconfig({
      server,
      cluster: { 'certificate-authority-data': base64(authority.cert) },
      user: {
        'client-certificate-data': base64(clientPair.cert),
        'client-key-data': base64(clientPair.key),
      },
    });
  }

  /** Opens the client for these settings and files; names do not resolve. */
  function open(
    t: TestContext,
    changes: Partial<ClientInputs>,
    files: Readonly<Record<string, string>>,
    components: Partial<OpenComponents> = {},
  ): { readonly client: Http2KubeClient; readonly log: RecordingLogger; readonly lookups: string[] } {
    const inputs: ClientInputs = {
      electionType: 'kubernetes',
      k8sConfigFile: admin,
      kubernetesAddr: '',
      controlPlane: true,
      detectControlPlane: false,
      port: local.port,
      home: '/root',
      existing: new Set(Object.keys(files)),
      vips: [VIP],
      ...changes,
    };
    const choice = selectClient(inputs);
    assert.ok(choice.source !== 'none');
    const log = recordingLogger();
    const lookups: string[] = [];
    const { client } = openKubeClient(
      choice,
      { ...inputs, environment: { serviceHost: '127.0.0.1', servicePort: String(local.port) } },
      {
        clock: new FakeClock(),
        random: () => 0.5,
        log,
        read: (file) => {
          const text = files[file];
          return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text);
        },
        lookup: (host, done) => {
          lookups.push(host);
          done(new Error('ENOTFOUND'), []);
        },
        localApiPort: local.port,
        ...components,
      },
    );
    t.after(() => {
      client.close();
    });
    return { client, log, lookups };
  }

  /** Makes one call and one watch; returns the authorities both were sent to, and the client's name. */
  async function whereCallsGo(client: Http2KubeClient): Promise<readonly string[]> {
    const from = api.requests.length;
    await client.list(leases);
    const ending = new AbortController();
    const options = { resourceVersion: String(api.revision), timeoutSeconds: 9, signal: ending.signal };
    const watching = client.watch(leases, options, {
      event: () => undefined,
      opened: () => {
        ending.abort();
      },
    });
    assert.equal((await failure(watching)).kind, 'aborted');
    const records = api.requests.slice(from).filter((record) => record.path !== '/version');
    assert.deepEqual(
      records.map((record) => record.verb),
      ['list', 'watch'],
    );
    return [...new Set(records.map((record) => record.authority))];
  }

  it('CP-60 with admin.conf and the control plane every call goes to host kubernetes, whatever the file names', async (t) => {
    for (const named of [`https://${VIP}:6443`, 'https://10.9.9.9:6443', `https://127.0.0.3:${local.port}`]) {
      const { client } = open(t, {}, { [admin]: adminConf(named) });
      assert.deepEqual(await whereCallsGo(client), [`kubernetes:${local.port}`]);
      assert.equal(client.server, `https://kubernetes:${local.port}`);
    }
    assert.equal(api.requests.at(-1)?.clientName, 'kubernetes-admin');
  });

  it('connects to this machine when the name kubernetes does not resolve, says so once, and still verifies', async (t) => {
    const files = { [admin]: adminConf(`https://${VIP}:6443`) };
    const { client, log, lookups } = open(t, {}, files);
    await client.list(leases);
    local.closeSockets();
    await whereCallsGo(client);
    assert.deepEqual(
      log.lines.filter((line) => line.startsWith('warn')),
      ['warn the name of the API server does not resolve, connecting to this machine instead'],
    );
    assert.deepEqual(lookups.slice(0, 1), ['kubernetes']);

    const wrong = createAuthority('wrong').issue('x', ['not-kubernetes']);
    const impostor = await api.listen({ tls: wrong });
    const error = await failure(open(t, { port: impostor.port }, files).client.raw('/version'));
    assert.equal(error.kind, 'unreachable');
  });

  it('uses the address the name kubernetes resolves to when it does', async (t) => {
    const { client, log } = open(
      t,
      {},
      { [admin]: adminConf(`https://${VIP}:6443`) },
      {
        lookup: (_host, done) => {
          done(null, [{ address: '127.0.0.3', family: 4 }]);
        },
      },
    );
    await client.list(leases);
    assert.ok(!log.lines.some((line) => line.startsWith('warn')));
  });

  it('CP-61 kubernetes_addr, with or without https, is where the calls go', async (t) => {
    const files = { [admin]: adminConf(`https://${VIP}:6443`) };
    for (const kubernetesAddr of [`127.0.0.1:${local.port}`, `https://127.0.0.1:${local.port}`]) {
      const { client } = open(t, { kubernetesAddr }, files);
      assert.deepEqual(await whereCallsGo(client), [`127.0.0.1:${local.port}`]);
    }
  });

  it('CP-62 another kubeconfig is used with its own server, or with kubernetes_addr', async (t) => {
    const k8sConfigFile = '/etc/other.conf';
    const files = {
      [k8sConfigFile]: adminConf(`https://127.0.0.3:${local.port}`),
      [admin]: adminConf('https://10.9.9.9:6443'),
    };
    const own = open(t, { k8sConfigFile }, files);
    assert.deepEqual(await whereCallsGo(own.client), [`127.0.0.3:${local.port}`]);
    const moved = open(t, { k8sConfigFile, kubernetesAddr: `127.0.0.1:${local.port}` }, files);
    assert.deepEqual(await whereCallsGo(moved.client), [`127.0.0.1:${local.port}`]);
  });

  it('a kubeconfig that names our own VIP is used with the local API server, with one warning', async (t) => {
    const k8sConfigFile = '/etc/kubernetes/super-admin.conf';
    const { client, log } = open(t, { k8sConfigFile }, { [k8sConfigFile]: adminConf(`https://${VIP}:6443`) });
    assert.deepEqual(await whereCallsGo(client), [`kubernetes:${local.port}`]);
    const warnings = log.lines.filter((line) => line.includes('our own VIP'));
    assert.equal(warnings.length, 1);
  });

  const mounted = '/mnt/kubeconfig';
  const rows: readonly (readonly [string, Partial<ClientInputs>, string, boolean])[] = [
    ['the server that a kubeconfig names', { k8sConfigFile: mounted }, mounted, true],
    ['kubernetes_addr', { k8sConfigFile: mounted, kubernetesAddr: '127.0.0.3.nip:1' }, mounted, true],
    [
      'kubernetes_addr on this machine',
      { k8sConfigFile: mounted, kubernetesAddr: '127.0.0.1' },
      mounted,
      false,
    ],
    ['the API server of this node', {}, admin, false],
    ['one that cp_detect found', { detectControlPlane: true }, admin, false],
  ];
  for (const [what, changes, file, isProxied] of rows)
    it(`proxy-url leads ${isProxied ? '' : 'not '}to ${what}`, async (t) => {
      const seen = new Set<string | undefined>();
      const text = kubeconfig({
        server: 'https://10.0.0.7:6443',
        cluster: { 'proxy-url': 'http://p:3128', 'certificate-authority-data': base64(authority.cert) },
      });
      const { client } = open(
        t,
        changes,
        { [file]: text },
        {
          probes: () => ({
            certificateAddresses: () => Promise.resolve([ip('127.0.0.3')]),
            answers: () => Promise.resolve(true),
          }),
          proxy: (connection) => {
            seen.add(proxyOf(connection, {})?.name);
            throw new Error('that is all');
          },
        },
      );
      await failure(client.list(leases));
      assert.deepEqual([...seen], [isProxied ? 'proxy-url p:3128' : undefined]);
    });

  it('CP-63 without any file the service account of the Pod is used', async (t) => {
    const mount = '/var/run/secrets/kubernetes.io/serviceaccount';
    api.allowTokens(['pod-token']);
    try {
      const { client } = open(
        t,
        {},
        {},
        {
          read: (file) => {
            if (file === `${mount}/token`) return Promise.resolve('pod-token\n');
            if (file === `${mount}/ca.crt`) return Promise.resolve(authority.cert);
            return Promise.reject(new Error('ENOENT'));
          },
        },
      );
      assert.deepEqual(await whereCallsGo(client), [`127.0.0.1:${local.port}`]);
      assert.equal(api.requests.at(-1)?.authorization, 'Bearer pod-token');
    } finally {
      api.allowTokens(undefined);
    }
  });

  it('a token of the Pod that is empty for a moment, while it is replaced, does not take the place of the last one', async () => {
    const mount = '/var/run/secrets/kubernetes.io/serviceaccount';
    const files = new Map([
      [`${mount}/token`, 'first'],
      [`${mount}/ca.crt`, authority.cert],
    ]);
    const read = (file: string): Promise<string> => Promise.resolve(files.get(file) ?? '');
    const environment = { serviceHost: '10.96.0.1', servicePort: '443' };
    const inputs = { controlPlane: true, port: 6443, vips: [], environment };
    const components = { clock: new FakeClock(), random: () => 0.5, log: recordingLogger(), read };
    const { client, credentials } = openKubeClient({ source: 'in-cluster' }, inputs, components);
    try {
      assert.equal((await credentials.current()).token, 'first');
      files.set(`${mount}/token`, '');
      assert.equal((await credentials.refresh()).token, 'first');
      files.set(`${mount}/token`, 'second').set(`${mount}/ca.crt`, authority.cert.slice(0, 40));
      assert.equal((await credentials.refresh()).token, 'first');
      files.set(`${mount}/ca.crt`, authority.cert);
      assert.equal((await credentials.refresh()).token, 'second');
      const warnings = components.log.lines.filter((line) => line.includes('cannot be read again'));
      assert.equal(warnings.length, 2);
    } finally {
      client.close();
    }
  });

  it('outside a Pod and without files, says what to do', async (t) => {
    const choice = { source: 'in-cluster' } as const;
    const inputs = {
      controlPlane: true,
      port: 6443,
      vips: [],
      environment: { serviceHost: '', servicePort: '' },
    };
    const components = { clock: new FakeClock(), random: () => 0.5, log: recordingLogger() };
    const { client, credentials } = openKubeClient(choice, inputs, components);
    t.after(() => {
      client.close();
    });
    await assert.rejects(credentials.current(), /no Kubernetes credentials.*k8s_config_file/);
  });

  it('CP-64 cp_detect uses the first address of the certificate that answers /version', async (t) => {
    const { client, log } = open(
      t,
      { detectControlPlane: true },
      { [admin]: adminConf('https://10.9.9.9:6443') },
    );
    // 10.0.0.100 is our VIP, at 127.0.0.9 nobody listens, 127.0.0.3 answers before 127.0.0.1 is asked.
    assert.deepEqual(await whereCallsGo(client), [`127.0.0.3:${local.port}`]);
    assert.deepEqual(log.lines, ['info API server found by its certificate']);
    const asked = api.requests
      .filter((record) => record.path === '/version')
      .map((record) => record.authority);
    assert.deepEqual(asked, [`127.0.0.3:${local.port}`]);
  });

  it('cp_detect stays patient while no API server runs: the call fails, a later one succeeds', async (t) => {
    let isUp = false;
    const { client } = open(
      t,
      { detectControlPlane: true },
      { [admin]: adminConf('https://10.9.9.9:6443') },
      {
        probes: () => ({
          certificateAddresses: () => (isUp ? Promise.resolve([]) : Promise.reject(new Error('refused'))),
          answers: () => Promise.resolve(true),
        }),
      },
    );
    assert.equal((await failure(client.raw('/version'))).kind, 'unreachable');
    isUp = true;
    assert.match((await failure(client.raw('/version'))).message, /names no address/);
  });

  it('CP-68 services alone use the server that admin.conf names', async (t) => {
    const files = { [admin]: adminConf(`https://127.0.0.3:${local.port}`) };
    const { client } = open(t, { controlPlane: false }, files);
    assert.deepEqual(await whereCallsGo(client), [`127.0.0.3:${local.port}`]);
  });

  it('refuses a kubernetes_addr that is no address, naming it', async (t) => {
    const { client } = open(t, { kubernetesAddr: 'no address' }, { [admin]: adminConf('https://x:1') });
    assert.match((await failure(client.raw('/version'))).message, /kubernetes_addr.*no address/);
  });

  it('does not trust a server of another authority', async (t) => {
    const impostor = await api.listen({ tls: strangers.issue('kube-apiserver', ['127.0.0.1']) });
    const files = { [admin]: adminConf(impostor.url) };
    const error = await failure(open(t, { controlPlane: false }, files).client.raw('/version'));
    assert.equal(error.kind, 'unreachable');
    assert.match(error.message, /certificate/);
  });
});
