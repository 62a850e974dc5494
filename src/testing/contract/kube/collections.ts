import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { leases, nameSelector } from '../../../kube/index.ts';
import type { Lease, WatchEvent } from '../../../kube/index.ts';
import { failsAs, freshName, leaseNamed, until } from './subject.ts';
import type { KubeSubject } from './subject.ts';

/** Lists, watches, and the reflector on top of both. */
export function collectionContract(opened: () => KubeSubject): void {
  describe('lists and watches', () => {
    let subject: KubeSubject;
    before(() => {
      subject = opened();
    });

    async function createLabelled(label: string, count: number): Promise<readonly string[]> {
      const names = Array.from({ length: count }, () => freshName('item'));
      for (const each of names)
        await subject.client.create(leases, leaseNamed(each, { labels: { set: label } }));
      return names.sort();
    }

    /** Watches a selection until `stop`, collecting what it says as `TYPE name`. */
    function startWatch(
      selectors: { labelSelector?: string; fieldSelector?: string },
      resourceVersion: string,
    ) {
      const seen: string[] = [];
      const ending = new AbortController();
      let isOpen = false;
      const done = subject.client.watch(
        leases,
        { namespace: 'default', resourceVersion, timeoutSeconds: 60, signal: ending.signal, ...selectors },
        {
          opened: () => {
            isOpen = true;
          },
          event: (event: WatchEvent) => {
            if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${event.object.metadata.name ?? ''}`);
          },
        },
      );
      const stop = async (): Promise<void> => {
        ending.abort();
        await failsAs('aborted', done);
      };
      return { seen, stop, isOpen: () => isOpen };
    }

    it('lists by label in pages that show one moment, each object once, without managedFields', async () => {
      const label = freshName('paged');
      const names = await createLabelled(label, 5);
      const labelSelector = `set=${label}`;
      const first = await subject.client.listPage<Lease>(leases, {
        namespace: 'default',
        labelSelector,
        limit: 2,
      });
      assert.equal(first.items.length, 2);
      await createLabelled(label, 1);
      const found = first.items.map((item) => item.metadata.name ?? '');
      for (let token = first.continueToken; token !== undefined;) {
        const page = await subject.client.listPage<Lease>(leases, {
          namespace: 'default',
          labelSelector,
          limit: 2,
          continueToken: token,
        });
        found.push(...page.items.map((item) => item.metadata.name ?? ''));
        assert.equal(page.resourceVersion, first.resourceVersion);
        token = page.continueToken;
      }
      assert.deepEqual(found.sort(), names);
      const all = await subject.client.list<Lease>(leases, { labelSelector });
      assert.equal(all.items.length, 6);
      assert.ok(all.items.every((item) => !('managedFields' in item.metadata)));
    });

    it('lists one object by its name, and refuses a field it cannot select by', async () => {
      const [one = ''] = await createLabelled(freshName('named'), 1);
      const found = await subject.client.list<Lease>(leases, {
        namespace: 'default',
        fieldSelector: nameSelector(one),
      });
      assert.deepEqual(
        found.items.map((item) => item.metadata.name),
        [one],
      );
      await failsAs('invalid', subject.client.list(leases, { fieldSelector: 'spec.nonsense=1' }));
    });

    it('watches from a version: every change in order', async () => {
      const one = freshName('watched');
      const fieldSelector = nameSelector(one);
      const { resourceVersion } = await subject.client.list(leases, { namespace: 'default' });
      const created = await subject.client.create(leases, leaseNamed(one));
      const watch = startWatch({ fieldSelector }, resourceVersion);
      await subject.client.update(leases, {
        ...created,
        spec: { ...created.spec, holderIdentity: 'node-b' },
      });
      await subject.client.delete(leases, { namespace: 'default', name: one });
      await until(subject, 'the deletion', () => watch.seen.includes(`DELETED ${one}`));
      await watch.stop();
      assert.deepEqual(watch.seen, [`ADDED ${one}`, `MODIFIED ${one}`, `DELETED ${one}`]);
    });

    it('tells watchers of a label that an object enters and leaves', async () => {
      const label = freshName('moving');
      const one = freshName('mover');
      const ref = { namespace: 'default', name: one };
      const { resourceVersion } = await subject.client.list(leases, { namespace: 'default' });
      const watch = startWatch({ labelSelector: `set=${label}` }, resourceVersion);
      await subject.client.create(leases, leaseNamed(one));
      await subject.client.patch(leases, ref, 'merge', { metadata: { labels: { set: label } } });
      await subject.client.patch(leases, ref, 'merge', { metadata: { labels: { set: 'other' } } });
      await until(subject, 'the end of it', () => watch.seen.includes(`DELETED ${one}`));
      await watch.stop();
      assert.deepEqual(watch.seen, [`ADDED ${one}`, `DELETED ${one}`]);
    });

    it('says that versions it has forgotten are gone: of a watch, and of a continue token', async () => {
      await createLabelled(freshName('history'), 3);
      await subject.compact();
      const token = { v: 'meta.k8s.io/v1', rv: 1, start: 'default/a\u0000' };
      const continueToken = Buffer.from(JSON.stringify(token)).toString('base64url');
      const page = subject.client.listPage(leases, { namespace: 'default', limit: 1, continueToken });
      assert.equal((await failsAs('gone', page)).status, 410);
      const signal = new AbortController().signal;
      const options = { namespace: 'default', resourceVersion: '1', timeoutSeconds: 5, signal };
      await failsAs('gone', subject.client.watch(leases, options, { event: () => undefined }));
    });

    it('ends a watch in order when its time is over, and tells before how far it has got', async () => {
      const { resourceVersion } = await subject.client.list(leases, { namespace: 'default' });
      const signal = new AbortController().signal;
      const options = {
        namespace: 'default',
        fieldSelector: nameSelector(freshName('nothing')),
        resourceVersion,
        timeoutSeconds: 5,
        signal,
      };
      const seen: WatchEvent[] = [];
      let other: Promise<unknown> | undefined;
      await subject.client.watch(leases, options, {
        // Of what it does not select.
        opened: () => {
          other = createLabelled(freshName('other'), 1);
        },
        event: (event) => seen.push(event),
      });
      await other;
      const [bookmark] = seen;
      assert.equal(bookmark?.type, 'BOOKMARK');
      assert.ok(Number(bookmark.resourceVersion) > Number(resourceVersion));
    });

    it('is followed by a reflector through changes, deletion and re-creation', async () => {
      const one = freshName('followed');
      const seen: string[] = [];
      const reflector = subject.reflect<Lease>(leases, nameSelector(one), {
        synced: (items) => seen.push(`synced ${items.size}`),
        changed: (_key, now, before) =>
          seen.push(`changed ${before?.spec?.holderIdentity ?? '-'} -> ${now.spec?.holderIdentity ?? '-'}`),
        removed: (key) => seen.push(`removed ${key}`),
      });
      const ending = new AbortController();
      const running = reflector.run(ending.signal);
      await until(subject, 'the first list', () => reflector.status().synced);
      const lease = await subject.client.create(leases, leaseNamed(one));
      await subject.client.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: 'node-b' } });
      await until(subject, 'the update', () => seen.includes('changed node-a -> node-b'));
      assert.equal(reflector.items.get(`default/${one}`)?.spec?.holderIdentity, 'node-b');
      await subject.client.delete(leases, { namespace: 'default', name: one });
      await subject.client.create(leases, leaseNamed(one));
      await until(subject, 'the new life', () => seen.length === 5);
      ending.abort();
      await running;
      assert.deepEqual(seen, [
        'synced 0',
        'changed - -> node-a',
        'changed node-a -> node-b',
        `removed default/${one}`,
        'changed - -> node-a',
      ]);
    });
  });
}
