import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { findComponent, waitFor, whyMissing } from '../../../lab/index.ts';
import {
  CachedCredentials,
  Http2KubeClient,
  createReflector,
  fixedCredentials,
  leases,
  openKubeClient,
} from '../../../src/kube/index.ts';
import type { Connection, Credentials, Lease, Reflector, Resource } from '../../../src/kube/index.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { leaseNamed } from '../../../src/testing/contract/kube/subject.ts';
import { recordingLogger, type RecordingLogger } from '../../../src/testing/logger.ts';
import { failure } from '../../unit/kube/fixture.ts';
import { kubeconfig } from '../../unit/kube/kubeconfig-text.ts';
import { POWERLESS, startRealApi } from './real-api.ts';
import type { RealApi } from './real-api.ts';

function rbac(plural: string, kind: string): Resource {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', plural, kind, namespaced: false };
}

const missing = whyMissing(['etcd', 'kube-apiserver'].map(findComponent));
if (missing !== undefined) test('the client on a real API server', { skip: missing });
else {
  describe('the client on a real API server', () => {
    const clock = systemClock();
    const clients: Http2KubeClient[] = [];
    let api: RealApi;

    before(async () => {
      api = await startRealApi();
    });
    after(async () => {
      for (const client of clients) client.close();
      await api.close();
    });

    function clientWith(credentials: Credentials): Http2KubeClient {
      const client = new Http2KubeClient({
        clock,
        random: Math.random,
        log: recordingLogger(),
        credentials,
      });
      clients.push(client);
      return client;
    }

    function follow(client: Http2KubeClient): {
      reflector: Reflector<Lease>;
      log: RecordingLogger;
      stop: () => Promise<void>;
    } {
      const log = recordingLogger();
      const reflector = createReflector<Lease>(
        { client, clock, random: Math.random, log },
        { resource: leases },
      );
      const ending = new AbortController();
      const running = reflector.run(ending.signal);
      const stop = (): Promise<void> => {
        ending.abort();
        return running;
      };
      return { reflector, log, stop };
    }

    it('is refused without rights, keeps asking, and goes on by itself once they are there', async () => {
      const admin = clientWith(fixedCredentials(api.connection));
      const weak = clientWith(fixedCredentials({ ...api.connection, token: POWERLESS.token }));
      const error = await failure(weak.list(leases));
      assert.deepEqual([error.kind, error.reason], ['forbidden', 'Forbidden']);
      assert.match(error.message, /User "powerless" cannot list resource "leases"/);
      const { reflector, log, stop } = follow(weak);
      await waitFor(() => log.lines.length > 0, { what: 'the complaint' });

      const metadata = { name: 'lease-reader' };
      const rules = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['list', 'watch'] }];
      await admin.create(rbac('clusterroles', 'ClusterRole'), { metadata, ...{ rules } });
      const subjects = [{ kind: 'User', name: POWERLESS.name, apiGroup: 'rbac.authorization.k8s.io' }];
      const roleRef = { kind: 'ClusterRole', name: metadata.name, apiGroup: 'rbac.authorization.k8s.io' };
      await admin.create(rbac('clusterrolebindings', 'ClusterRoleBinding'), {
        metadata,
        ...{ subjects, roleRef },
      });
      await waitFor(() => reflector.status().synced, { what: 'the list', timeoutMs: 60_000 });
      await stop();
      assert.equal(log.lines.filter((line) => line.startsWith('warn')).length, 1);
      assert.match(log.lines.at(-1) ?? '', /^info following leases.* again/);
    });

    it('goes on after the API server was killed and came back, with a new certificate', async () => {
      const credentials = new CachedCredentials({ clock, log: recordingLogger() }, 'test', () => {
        const ca = readFileSync(path.join(api.dir, 'certs', 'apiserver.crt'), 'utf8');
        return Promise.resolve<Connection>({ ...api.connection, ca });
      });
      const client = clientWith(credentials);
      const { reflector, stop } = follow(client);
      await waitFor(() => reflector.status().synced, { what: 'the first list' });
      await client.create(leases, leaseNamed('before'));
      await waitFor(() => reflector.items.has('default/before'), { what: 'the first event' });
      const before = await credentials.current();
      await api.restart({ newCertificate: true });
      await client.create(leases, leaseNamed('after'));
      await waitFor(() => reflector.items.has('default/after'), {
        what: 'the event after',
        timeoutMs: 60_000,
      });
      assert.ok(reflector.items.has('default/before'));
      assert.notEqual((await credentials.current()).ca, before.ca);
      await stop();
    });

    it('reaches it as kubernetes on this machine although that name does not resolve', async () => {
      const {
        server,
        ca = '',
        token,
      } = { ...api.connection, ca: readFileSync(path.join(api.dir, 'certs', 'apiserver.crt'), 'utf8') };
      const text = kubeconfig({
        server: 'https://10.0.0.100:6443',
        cluster: { 'certificate-authority-data': Buffer.from(ca).toString('base64') },
        user: { token },
      });
      const { client } = openKubeClient(
        {
          source: 'kubeconfig',
          path: '/etc/kubernetes/admin.conf',
          server: { rule: 'local', port: server.port },
        },
        {
          controlPlane: true,
          port: server.port,
          vips: ['10.0.0.100'],
          environment: { serviceHost: '', servicePort: '' },
        },
        {
          clock,
          random: Math.random,
          log: recordingLogger(),
          read: () => Promise.resolve(text),
          lookup: (_host, done) => {
            done(new Error('ENOTFOUND'), []);
          },
        },
      );
      clients.push(client);
      assert.equal((await client.raw('/readyz')).body, 'ok');
      assert.equal(client.server, `https://kubernetes:${server.port}`);
    });
  });
}
