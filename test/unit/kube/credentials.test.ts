import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  CachedCredentials,
  Http2KubeClient,
  plainConnection,
  readPodNamespace,
} from '../../../src/kube/index.ts';
import type { Connection } from '../../../src/kube/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { createAuthority } from '../../../src/testing/fake-api/index.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';
import { eventually, failure, startApi } from './fixture.ts';
import { parsed } from './subject.ts';

/** Credentials whose source the test rewrites. */
function changing(first: Connection) {
  const clock = new FakeClock();
  const log = recordingLogger();
  const disk: { content: Connection | undefined; reads: number } = { content: first, reads: 0 };
  const credentials = new CachedCredentials({ clock, log }, '/etc/x', () => {
    disk.reads++;
    return disk.content === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(disk.content);
  });
  return { clock, log, disk, credentials };
}

/** An API server and a client of it, whose credentials the test rewrites; they begin with the token `old`. */
async function startChanging(t: TestContext) {
  const { api, listener, connection: plain } = await startApi(t);
  const { clock, log, disk, credentials } = changing({ ...plain, token: 'old' });
  const client = new Http2KubeClient({ clock, log, random: () => 0.5, credentials });
  t.after(() => {
    client.close();
  });
  return { api, listener, plain, client, log, disk, credentials };
}

describe('credentials', () => {
  it('are read again once when the server refuses them, and the call is made once more', async (t) => {
    const { api, listener, plain, client, log, disk } = await startChanging(t);
    api.allowTokens(['old']);
    assert.equal((await client.raw('/api/v1/nodes')).status, 200);
    disk.content = { ...plain, token: 'new' };
    api.allowTokens(['new']);
    assert.equal((await client.raw('/api/v1/nodes')).status, 200);
    assert.deepEqual(
      api.requests.map((request) => request.authorization),
      ['Bearer old', 'Bearer old', 'Bearer new'],
    );
    assert.equal(listener.accepted, 1);
    assert.ok(log.lines.includes('info credentials changed'));

    api.allowTokens([]);
    assert.equal((await client.raw('/api/v1/nodes')).status, 401);
    assert.equal(api.requests.length, 4, 'unchanged credentials are not tried twice');
  });

  it('are read again once for a watch too', async (t) => {
    const { api, plain, client, disk, credentials } = await startChanging(t);
    await credentials.current();
    disk.content = { ...plain, token: 'new' };
    api.allowTokens(['new']);
    const ending = new AbortController();
    const resource = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
    const options = { resourceVersion: '1000', timeoutSeconds: 60, signal: ending.signal };
    const watching = failure(client.watch(resource, options, { event: () => undefined }));
    await eventually('the watch', () => api.openWatches === 1);
    ending.abort();
    assert.equal((await watching).kind, 'aborted');
  });

  it('older than a minute are read again in the background, as bound tokens are replaced', async () => {
    const plain = plainConnection(parsed('http://x'));
    const { clock, disk, credentials } = changing({ ...plain, token: 'one' });
    await credentials.current();
    disk.content = { ...plain, token: 'two' };
    clock.pause(59_999);
    assert.equal((await credentials.current()).token, 'one');
    assert.equal(disk.reads, 1);
    clock.pause(1);
    assert.equal((await credentials.current()).token, 'one', 'the disk is not waited for');
    await clock.flush();
    assert.equal((await credentials.current()).token, 'two');
    assert.equal(disk.reads, 2);
  });

  it('that cannot be read any more stay in use, with one warning', async () => {
    const plain = plainConnection(parsed('http://x'));
    const { log, disk, credentials } = changing(plain);
    await credentials.current();
    disk.content = undefined;
    await credentials.refresh();
    assert.equal(await credentials.refresh(), plain);
    assert.deepEqual(log.lines, ['warn credentials cannot be read again, keeping the last ones']);
    disk.content = plain;
    await credentials.refresh();
    disk.content = undefined;
    await credentials.refresh();
    assert.equal(log.lines.length, 2, 'a new problem is said again');
  });

  it('that were never read make the call fail with the reason, and a later call work', async (t) => {
    const { api, listener } = await startApi(t);
    const { clock, log, disk, credentials } = changing(plainConnection(parsed(listener.url)));
    const good = disk.content;
    disk.content = undefined;
    const client = new Http2KubeClient({ clock, log, random: () => 0.5, credentials });
    t.after(() => {
      client.close();
    });
    assert.match((await failure(client.raw('/version'))).message, /ENOENT/);
    assert.equal(client.server, '/etc/x');
    disk.content = good;
    assert.equal((await client.raw('/version')).status, 200);
    assert.equal(api.requests.length, 1);
  });

  it('follow a server that got a certificate of a new authority', async (t) => {
    const [before, after] = [createAuthority('before'), createAuthority('after')];
    const { api, listener } = await startApi(t, { listen: { tls: before.issue('api', ['127.0.0.1']) } });
    const plain = plainConnection(parsed(listener.url));
    const { clock, log, disk, credentials } = changing({ ...plain, ca: before.cert });
    const client = new Http2KubeClient({ clock, log, random: () => 0.5, credentials });
    t.after(() => {
      client.close();
    });
    assert.equal((await client.raw('/version')).status, 200);

    await listener.close();
    await api.listen({ port: listener.port, tls: after.issue('api', ['127.0.0.1']) });
    assert.equal((await failure(client.raw('/version'))).kind, 'unreachable');
    disk.content = { ...plain, ca: after.cert };
    const call = client.raw('/version');
    await clock.advance(1000);
    assert.equal((await call).status, 200);
  });

  it('verify a server by tls-server-name, or not at all when told so', async (t) => {
    const authority = createAuthority('x');
    const { listener } = await startApi(t, { listen: { tls: authority.issue('api', ['api.example']) } });
    const base = { ...plainConnection(parsed(listener.url)), ca: authority.cert };
    const statusWith = async (connection: Connection): Promise<number | string> => {
      const { clock, log, credentials } = changing(connection);
      const client = new Http2KubeClient({ clock, log, random: () => 0.5, credentials });
      try {
        return (await client.raw('/version')).status;
      } catch (error) {
        return String(error);
      } finally {
        client.close();
      }
    };
    assert.match(String(await statusWith(base)), /IP: 127.0.0.1 is not in the cert's list/);
    assert.equal(await statusWith({ ...base, tlsServerName: 'api.example' }), 200);
    assert.equal(await statusWith({ ...base, ca: undefined, isInsecure: true }), 200);
  });
});

describe('the namespace of the Pod', () => {
  it('is in the mount, or there is none', async () => {
    const mount = (file: string): Promise<string> =>
      file === '/m/namespace' ? Promise.resolve('kube-system\n') : Promise.reject(new Error('ENOENT'));
    assert.equal(await readPodNamespace('/m', mount), 'kube-system');
    assert.equal(await readPodNamespace('/none', mount), undefined);
  });
});
