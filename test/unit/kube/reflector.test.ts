import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createReflector, leases } from '../../../src/kube/index.ts';
import type { KubeObject, Lease, RefreshableReflector, ReflectorOptions } from '../../../src/kube/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { eventually, startApi } from './fixture.ts';
import type { ApiFixture } from './fixture.ts';

interface Running extends ApiFixture {
  readonly reflector: RefreshableReflector<Lease>;
  readonly seen: string[];
  readonly stop: () => Promise<void>;
  /** Moves the clock until the condition holds, letting sockets work in between. */
  readonly advanceUntil: (what: string, condition: () => boolean) => Promise<void>;
}

/** A reflector on the leases of a fake API server; `seen` is what its listener was told. */
async function follow(
  t: TestContext,
  options: Partial<ReflectorOptions<Lease>> & { readonly prepare?: (fixture: ApiFixture) => void } = {},
): Promise<Running> {
  const fixture = await startApi(t, { client: { pingMs: 1e9, timeoutMs: 1e9 } });
  const { client, clock, log } = fixture;
  options.prepare?.(fixture);
  const seen: string[] = [];
  const reflector = createReflector<Lease>(
    { client, clock, log, random: () => 0.5 },
    {
      resource: leases,
      listener: {
        synced: (items) => seen.push(`synced ${items.size}`),
        changed: (key, now, before) =>
          seen.push(`${before === undefined ? 'new' : 'changed'} ${key} ${now.spec?.holderIdentity ?? ''}`),
        removed: (key) => seen.push(`removed ${key}`),
      },
      ...options,
    },
  );
  const ending = new AbortController();
  const running = reflector.run(ending.signal);
  const stop = async (): Promise<void> => {
    ending.abort();
    await running;
  };
  t.after(stop);
  const advanceUntil = (what: string, condition: () => boolean): Promise<void> =>
    eventually(what, () => {
      if (condition()) return true;
      void clock.advance(10);
      return false;
    });
  return { ...fixture, reflector, seen, stop, advanceUntil };
}

function lease(name: string, holderIdentity = 'a'): Lease {
  return { metadata: { namespace: 'ns', name }, spec: { holderIdentity } };
}

const watches = ({ api }: ApiFixture): number => api.requests.filter(({ verb }) => verb === 'watch').length;

describe('a reflector', () => {
  it('lists in pages, then follows every change', async (t) => {
    const running = await follow(t, {
      pageSize: 1,
      prepare: ({ api }) => {
        api.put(leases, lease('one'));
        api.put(leases, lease('two'));
      },
    });
    const { api, reflector, seen } = running;
    await eventually('the watch', () => api.openWatches === 1);
    assert.deepEqual(seen, ['new ns/one a', 'new ns/two a', 'synced 2']);
    api.put(leases, lease('one', 'b'));
    api.remove(leases, { namespace: 'ns', name: 'two' });
    await eventually('both', () => seen.length === 5);
    assert.deepEqual(seen.slice(3), ['changed ns/one b', 'removed ns/two']);
    assert.deepEqual([...reflector.items.keys()], ['ns/one']);
    const { synced, items, relists, lastError } = reflector.status();
    assert.deepEqual(
      { synced, items, relists, lastError },
      { synced: true, items: 1, relists: 0, lastError: undefined },
    );
    const watch = api.requests.find(({ verb }) => verb === 'watch')?.query ?? '';
    assert.match(watch, /allowWatchBookmarks=true/);
    assert.match(watch, /timeoutSeconds=10$/);
  });

  it('after 410 lists anew and tells only the difference', async (t) => {
    const running = await follow(t, {
      prepare: ({ api }) => {
        for (const name of ['stays', 'changes', 'goes']) api.put(leases, lease(name));
      },
    });
    const { api, reflector, seen, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    seen.length = 0;
    api.silenceWatches();
    api.put(leases, lease('changes', 'b'));
    api.put(leases, lease('comes'));
    api.remove(leases, { namespace: 'ns', name: 'goes' });
    api.compact();
    api.closeSockets();
    await running.advanceUntil('the new list', () => seen.length === 4);
    assert.deepEqual(seen, ['changed ns/changes b', 'new ns/comes a', 'removed ns/goes', 'synced 3']);
    assert.equal(reflector.status().relists, 1);
    assert.ok(!log.lines.some((line) => line.startsWith('warn') && line.includes('gone')));
  });

  it('resumes a broken watch from where it was, without a new list', async (t) => {
    const running = await follow(t);
    const { api, seen, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.put(leases, lease('before'));
    await eventually('the event', () => seen.length === 2);
    api.closeSockets();
    api.put(leases, lease('between'));
    await running.advanceUntil('what happened in between', () => seen.length === 3);
    assert.deepEqual(seen, ['synced 0', 'new ns/before a', 'new ns/between a']);
    assert.equal(reflector.status().relists, 0);
  });

  it('continues after a GOAWAY and after the server ended the watch in order', async (t) => {
    const running = await follow(t);
    const { api, seen, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.goaway();
    api.put(leases, lease('one'));
    await eventually('one', () => seen.length === 2);
    api.endWatches();
    api.put(leases, lease('two'));
    await running.advanceUntil('two', () => seen.length === 3);
    assert.deepEqual(log.lines, []);
  });

  it('a list whose continue token expires begins anew, and tells of a removal only when it is whole', async (t) => {
    const running = await follow(t, {
      pageSize: 1,
      prepare: ({ api }) => {
        for (const name of ['a', 'b', 'c']) api.put(leases, lease(name));
      },
    });
    const { api, reflector, seen, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    seen.length = 0;
    api.silenceWatches();
    api.remove(leases, { namespace: 'ns', name: 'c' });
    api.put(leases, lease('a', 'z'));
    api.fail({ verb: 'list', path: /continue=/ }, { status: 410, reason: 'Expired' }, 1);
    reflector.refresh();
    await eventually('the refusal', () => log.lines.length === 1);
    assert.deepEqual(seen, ['changed ns/a z']);
    await running.advanceUntil('the list', () => seen.length === 3);
    assert.deepEqual(seen, ['changed ns/a z', 'removed ns/c', 'synced 2']);
    assert.equal(reflector.status().relists, 1);
  });

  it('a watch that is refused for the load comes again when the server said, from where it was', async (t) => {
    const running = await follow(t);
    const { api, clock, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.fail({ verb: 'watch' }, { status: 429, retryAfterSeconds: 7 }, 1);
    const before = clock.now();
    api.closeSockets();
    await running.advanceUntil('the refusal', () => watches(running) === 2);
    await running.advanceUntil('the watch', () => watches(running) === 3);
    assert.ok(clock.now() - before >= 7000, `after ${clock.now() - before} ms`);
    assert.equal(reflector.status().relists, 0);
  });

  it('waits through 401, 403, 429, 5xx and garbage, says each kind once and the recovery once', async (t) => {
    const running = await follow(t, {
      prepare: ({ api }) => {
        for (const status of [401, 403, 403, 403, 500, 429, 503]) api.fail({ verb: 'list' }, { status }, 1);
        api.fail({ verb: 'list' }, { garbage: '<html>' }, 2);
      },
    });
    const { api, seen, log, reflector } = running;
    await eventually('the first failure', () => log.lines.length === 1);
    assert.match(reflector.status().lastError ?? '', /^GET .*leases: 401/);
    await running.advanceUntil('the list', () => seen.length === 1);
    assert.deepEqual(
      log.lines.map((line) => line.replace(/in .*/, 'in …')),
      [
        ...Array<string>(6).fill('warn cannot follow leases.coordination.k8s.io, retrying in …'),
        'info following leases.coordination.k8s.io again',
      ],
    );
    assert.equal(log.fields.at(-1)?.failures, 9);
    assert.equal(api.requests.filter(({ verb }) => verb === 'list').length, 10);
    assert.equal(reflector.status().lastError, undefined);
  });

  it('keeps what it knows while the server is away', async (t) => {
    const running = await follow(t, { prepare: ({ api }) => api.put(leases, lease('one')) });
    const { api, listener, reflector, log, clock } = running;
    await eventually('the watch', () => api.openWatches === 1);
    await listener.close();
    await running.advanceUntil('the warning', () => log.lines.length === 1);
    await clock.advance(60_000);
    assert.deepEqual([...reflector.items.keys()], ['ns/one']);
    await api.listen({ port: listener.port });
    await running.advanceUntil('the watch again', () => api.openWatches === 1);
    assert.equal(reflector.status().relists, 0);
  });

  it('a watch that the server does not end has gone deaf: another one continues on another connection', async (t) => {
    const running = await follow(t);
    const { api, clock, log, reflector, seen } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.silenceWatches();
    api.put(leases, lease('missed'));
    await clock.advance(11_999);
    assert.equal(watches(running), 1);
    await running.advanceUntil('what was missed', () => seen.includes('new ns/missed a'));
    assert.ok(clock.now() < 13_000, `at ${clock.now()}`);
    assert.equal(reflector.status().relists, 0);
    assert.match(String(log.fields[0]?.['error']), /not ended within 12000 ms/);
    assert.deepEqual(log.lines, [
      'warn cannot follow leases.coordination.k8s.io, retrying in 75ms',
      'info following leases.coordination.k8s.io again',
    ]);
  });

  it('a connection on which no watch opens is not waited for long', async (t) => {
    const running = await follow(t);
    const { api, clock, seen } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.fail({ verb: 'watch' }, { stall: true }, 1);
    api.endWatches();
    api.put(leases, lease('missed'));
    await running.advanceUntil('the request', () => watches(running) === 2);
    await running.advanceUntil('what was missed', () => seen.includes('new ns/missed a'));
    assert.ok(clock.now() < 6000, `at ${clock.now()}`);
  });

  it('a bookmark moves the point from which a watch resumes', async (t) => {
    const running = await follow(t);
    const { api, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    const before = reflector.status().lastHeard;
    await running.clock.advance(1);
    api.put(
      { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
      { metadata: { name: 'n' } },
    );
    api.bookmark();
    await eventually('the bookmark', () => reflector.status().lastHeard > before);
    const version = api.revision;
    api.compact(); // the version of the list is gone now, that of the bookmark is not
    api.closeSockets();
    await running.advanceUntil('the second watch', () => api.openWatches === 1 && watches(running) === 2);
    assert.match(api.requests.at(-1)?.query ?? '', new RegExp(`resourceVersion=${version}`));
    assert.equal(reflector.status().relists, 0);
  });

  it('lists anew when the history of the server went back while it was away, and believes no version', async (t) => {
    const running = await follow(t);
    const { api, listener, seen, reflector, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.put(leases, lease('kept', 'a')); // version n
    await eventually('it', () => seen.length === 2);
    api.put(leases, lease('lost'));
    await eventually('both', () => seen.length === 3);
    await listener.close();
    // Another server with an older copy, in which the same version was given to another content.
    const restored = new FakeApi();
    t.after(() => restored.close());
    restored.put(leases, lease('kept', 'b'));
    await restored.listen({ port: listener.port });
    await running.advanceUntil('the list', () => seen.length === 6);
    assert.deepEqual(seen.slice(3), ['changed ns/kept b', 'removed ns/lost', 'synced 1']);
    assert.equal(reflector.status().relists, 1);
    assert.ok(log.lines.some((line) => line.startsWith('warn the history of the API server went back')));
    await running.advanceUntil('the watch', () => restored.openWatches === 1);
    restored.put(leases, lease('new'));
    await running.advanceUntil('the news', () => seen.length === 7);
  });

  it('asks once about the history after the server was away, and not where the watch just ended', async (t) => {
    const running = await follow(t);
    const { api } = running;
    const lists = (): number => api.requests.filter(({ verb }) => verb === 'list').length;
    await eventually('the watch', () => api.openWatches === 1);
    api.endWatches();
    await running.advanceUntil('the second', () => watches(running) === 2 && api.openWatches === 1);
    assert.equal(lists(), 1);
    api.closeSockets();
    await running.advanceUntil('the third', () => watches(running) === 3 && api.openWatches === 1);
    assert.equal(lists(), 2);
    assert.match(api.requests.findLast(({ verb }) => verb === 'list')?.query ?? '', /limit=1$/);
    api.endWatches();
    await running.advanceUntil('the fourth', () => watches(running) === 4 && api.openWatches === 1);
    assert.equal(lists(), 2);
  });

  it('gives up a list that has always one more page and nothing new in it', async (t) => {
    const running = await follow(t, {
      prepare: ({ api }) => {
        for (let i = 0; i < 50; i++) {
          const metadata = { resourceVersion: '1', continue: String(i) };
          api.fail({ verb: 'list' }, { garbage: JSON.stringify({ items: [lease('one')], metadata }) }, 1);
        }
      },
    });
    const { api, log, reflector } = running;
    await eventually('the failure', () => log.lines.length === 1);
    assert.match(reflector.status().lastError ?? '', /the list does not end/);
    assert.equal(api.requests.length, 5);
    assert.equal(reflector.status().synced, false);
  });

  it('lists anew when a watch sends what is no event', async (t) => {
    const running = await follow(t);
    const { api, seen } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.sendOnWatches('{"type":"ADDED","object":{"metadata":{"name":');
    api.sendOnWatches('7}}}\n');
    await running.advanceUntil('the second list', () => seen.length === 2);
    assert.deepEqual(seen, ['synced 0', 'synced 0']);
    await running.advanceUntil('the second watch', () => api.openWatches === 1);
    assert.equal(running.reflector.status().lastError, undefined);
  });

  it('survives a listener that throws, and says so', async (t) => {
    const seen: string[] = [];
    const running = await follow(t, {
      listener: {
        changed: (key) => {
          seen.push(key);
          throw new Error('oops');
        },
      },
    });
    const { api, log, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.put(leases, lease('one'));
    api.put(leases, lease('two'));
    await eventually('both', () => seen.length === 2);
    assert.equal(reflector.items.size, 2);
    assert.deepEqual(log.lines, ['error what the API server told could not be handled']);
  });

  it('an object that nobody can read is named, and costs the others nothing', async (t) => {
    const running = await follow(t, {
      map: (raw: KubeObject): Lease => {
        if (raw.metadata.name === 'bad') throw new TypeError('it has no ports');
        return raw;
      },
      prepare: ({ api }) => {
        api.put(leases, lease('bad'));
        api.put(leases, lease('one'));
      },
    });
    const { api, seen, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.put(leases, lease('bad', 'b'));
    api.put(leases, lease('two'));
    await eventually('the other', () => seen.includes('new ns/two a'));
    assert.equal(log.lines.length, 1);
    await running.clock.advance(1000);
    api.put(leases, lease('bad', 'c'));
    await eventually('the line', () => log.lines.length === 2);
    assert.deepEqual(seen, ['new ns/one a', 'synced 1', 'new ns/two a']);
    assert.deepEqual(
      log.fields.map((fields) => [fields['object'], fields['times'], fields['error']]),
      [
        ['ns/bad', 1, 'it has no ports'],
        ['ns/bad', 2, 'it has no ports'],
      ],
    );
    assert.equal(watches(running), 1);
  });

  it('keeps only what its map keeps, and asks only for what its selectors say', async (t) => {
    const running = await follow(t, {
      namespace: 'ns',
      labelSelector: 'a=b',
      fieldSelector: 'metadata.name=one',
      map: ({ metadata: { name = '', namespace = '' } }: KubeObject): Lease => ({
        metadata: { name, namespace },
      }),
      prepare: ({ api }) => {
        api.put(leases, { ...lease('one'), metadata: { namespace: 'ns', name: 'one', labels: { a: 'b' } } });
        api.put(leases, { ...lease('two'), metadata: { namespace: 'ns', name: 'two', labels: { a: 'b' } } });
      },
    });
    const { api, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    assert.deepEqual([...reflector.items.values()], [{ metadata: { name: 'one', namespace: 'ns' } }]);
    for (const { path, query } of api.requests) {
      assert.equal(path, '/apis/coordination.k8s.io/v1/namespaces/ns/leases');
      assert.match(query, /labelSelector=a%3Db&fieldSelector=metadata.name%3Done/);
    }
  });

  it('ends when told to, at every point', async (t) => {
    const inWatch = await follow(t);
    await eventually('the watch', () => inWatch.api.openWatches === 1);
    await inWatch.stop();
    await eventually('the end of the watch', () => inWatch.api.openWatches === 0);
    assert.deepEqual(
      inWatch.clock.timers().filter(({ name }) => name.startsWith('kube-') && name !== 'kube-ping'),
      [],
    );

    const inList = await follow(t, {
      prepare: ({ api }) => void api.fail({ verb: 'list' }, { stall: true }),
    });
    await eventually('the request', () => inList.api.requests.length === 1);
    await inList.stop();

    const inWait = await follow(t, {
      prepare: ({ api }) => void api.fail({ verb: 'list' }, { status: 500 }),
    });
    await eventually('the wait', () => inWait.log.lines.length === 1);
    await inWait.stop();
    assert.deepEqual([inList.seen, inWait.seen], [[], []]);
  });
});

describe('how current a reflector is', () => {
  it('knows all that was before its list was asked for, and before its watch ended in order', async (t) => {
    const running = await follow(t);
    const { api, clock, reflector } = running;
    assert.equal(reflector.status().provenAt, undefined);
    await eventually('the watch', () => api.openWatches === 1);
    assert.equal(reflector.status().provenAt, 0);
    await clock.advance(4000);
    api.put(leases, lease('one'));
    api.bookmark();
    await eventually('the event', () => reflector.items.size === 1);
    assert.equal(reflector.status().provenAt, 0, 'an event may have been on its way for long');
    // Read late, as by a process that was paused: it is no newer for that.
    await clock.advance(7000);
    api.endWatches();
    await running.advanceUntil('the end', () => watches(running) === 2);
    assert.equal(reflector.status().provenAt, 10_000);
    const opened = clock.now();
    await clock.advance(2000);
    api.endWatches();
    await running.advanceUntil('the early end', () => watches(running) === 3);
    const { provenAt = 0 } = reflector.status();
    assert.ok(provenAt >= 10_000 && provenAt <= opened, `when the server ended it nobody knows: ${provenAt}`);
  });

  it('a watch that breaks proves nothing', async (t) => {
    const running = await follow(t);
    const { api, clock, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    await clock.advance(5000);
    api.closeSockets();
    await running.advanceUntil('another watch', () => watches(running) === 2);
    assert.equal(reflector.status().provenAt, 0);
  });

  it('after an interruption is proven again by a short watch', async (t) => {
    const running = await follow(t);
    const { api, clock, reflector } = running;
    await eventually('the watch', () => api.openWatches === 1);
    await clock.advance(9000);
    api.closeSockets();
    await running.advanceUntil('another watch', () => watches(running) === 2 && api.openWatches === 1);
    const opened = clock.now();
    await clock.advance(2000);
    api.endWatches();
    await running.advanceUntil('a third one', () => watches(running) === 3);
    assert.ok((reflector.status().provenAt ?? 0) > opened, 'it was asked to end by then');
    const seconds = api.requests.flatMap(({ query }) => /timeoutSeconds=(\d+)/.exec(query)?.[1] ?? []);
    assert.deepEqual(seconds, ['10', '2', '10']);
  });

  it('is refreshed by a list, whatever it was waiting for', async (t) => {
    const running = await follow(t, { prepare: ({ api }) => api.put(leases, lease('goes')) });
    const { api, clock, reflector, seen, log } = running;
    await eventually('the watch', () => api.openWatches === 1);
    api.silenceWatches();
    api.remove(leases, { namespace: 'ns', name: 'goes' });
    api.put(leases, lease('comes'));
    await clock.advance(3000);
    reflector.refresh();
    await eventually('the list', () => seen.includes('synced 1') && seen.includes('removed ns/goes'));
    assert.deepEqual([...reflector.items.keys()], ['ns/comes']);
    assert.equal(reflector.status().provenAt, 3000);
    await eventually('the watch again', () => watches(running) === 2);
    assert.deepEqual(log.lines, [], 'nothing failed');

    api.fail({ verb: 'list' }, { status: 503 }, 1);
    reflector.refresh();
    await eventually('the failure', () => log.lines.length === 1);
    reflector.refresh();
    await eventually('another list, without waiting', () => reflector.status().relists === 2);
  });

  it('a refresh while it lists changes nothing', async (t) => {
    const running = await follow(t, {
      prepare: ({ api }) => void api.fail({ verb: 'list' }, { stall: true }),
    });
    await eventually('the request', () => running.api.requests.length === 1);
    running.reflector.refresh();
    await running.clock.advance(20_000);
    assert.equal(running.api.requests.length, 1);
  });
});
