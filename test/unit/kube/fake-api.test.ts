import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { leases, nodes } from '../../../src/kube/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { clientOf, eventually, failure, startApi } from './fixture.ts';
import { fixedCredentials, plainConnection } from '../../../src/kube/index.ts';
import { parsed } from './subject.ts';

describe('the fake API server', () => {
  it('speaks HTTP/1.1 on the same port, so that curl and people can look', async (t) => {
    const { api, listener } = await startApi(t);
    api.put(nodes, { metadata: { name: 'a' } });
    const answer = await fetch(`${listener.url}/api/v1/nodes/a`, { headers: { connection: 'close' } });
    assert.equal(answer.status, 200);
    assert.equal(((await answer.json()) as { metadata: { name: string } }).metadata.name, 'a');
    for (const path of ['/readyz', '/livez', '/healthz']) {
      const probe = await fetch(`${listener.url}${path}`, { headers: { connection: 'close' } });
      assert.equal(await probe.text(), 'ok');
    }
  });

  it('has listeners that share the content and fail one by one', async (t) => {
    const api = new FakeApi();
    t.after(() => api.close());
    const [one, two] = await Promise.all([api.listen(), api.listen()]);
    const clientAt = (url: string) => clientOf(t, fixedCredentials(plainConnection(parsed(url))));
    const first = clientAt(one.url);
    const second = clientAt(two.url);
    await first.client.create(nodes, { metadata: { name: 'a' } });
    assert.equal((await second.client.get(nodes, { name: 'a' })).metadata.name, 'a');

    one.blackHole(true);
    const stuck = failure(first.client.get(nodes, { name: 'a' }, { timeoutMs: 500 }));
    await second.client.get(nodes, { name: 'a' });
    await first.clock.advance(500);
    assert.equal((await stuck).kind, 'timeout');
    one.blackHole(false);
    assert.equal((await first.client.get(nodes, { name: 'a' })).metadata.name, 'a');

    await one.close();
    const refused = failure(first.client.get(nodes, { name: 'a' }));
    await first.clock.advance(1000);
    assert.equal((await refused).kind, 'unreachable');
    await second.client.get(nodes, { name: 'a' });
  });

  it('delays an answer without holding up the others', async (t) => {
    const { api, client } = await startApi(t);
    api.fail({ verb: 'list' }, { delayMs: 30 }, 1);
    const order: string[] = [];
    await Promise.all([
      client.list(nodes).then(() => order.push('slow')),
      client.raw('/version').then(() => order.push('fast')),
    ]);
    assert.deepEqual(order, ['fast', 'slow']);
  });

  it('opens a watch that never says anything when told to', async (t) => {
    const { api, client } = await startApi(t);
    api.fail({ verb: 'watch' }, { silent: true });
    const ending = new AbortController();
    const seen: string[] = [];
    const options = { resourceVersion: String(api.revision), timeoutSeconds: 60, signal: ending.signal };
    const watch = failure(client.watch(leases, options, { event: (event) => seen.push(event.type) }));
    await eventually('the watch', () => api.openWatches === 1);
    api.put(leases, { metadata: { namespace: 'a', name: 'b' } });
    api.bookmark();
    await client.raw('/version');
    ending.abort();
    await watch;
    assert.deepEqual(seen, []);
  });
});
