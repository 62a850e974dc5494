import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { leases, nodes, services } from '../../../kube/index.ts';
import type { KubeObject, Lease } from '../../../kube/index.ts';
import { failsAs, freshName, leaseNamed } from './subject.ts';
import type { KubeSubject } from './subject.ts';

interface Service extends KubeObject {
  readonly spec: {
    readonly type?: string;
    readonly ports: readonly object[];
    readonly sessionAffinity?: string;
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip: string }[] } };
}

function serviceNamed(name: string): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name },
    spec: { type: 'LoadBalancer', ports: [{ name: 'web', port: 80, protocol: 'TCP' }] },
  };
}

/** Reading and writing one object at a time. */
export function objectContract(opened: () => KubeSubject): void {
  describe('objects', () => {
    let subject: KubeSubject;
    before(() => {
      subject = opened();
    });

    it('answers /version, and says 404 for a path it does not know without throwing', async () => {
      const version = await subject.client.raw('/version');
      assert.equal(version.status, 200);
      assert.match(version.body, /"gitVersion":\s*"v1\./);
      assert.equal((await subject.client.raw('/no-such-thing')).status, 404);
    });

    it('creates an object, fills in its metadata, and drops managedFields', async () => {
      const lease = leaseNamed(freshName('create'));
      const created = await subject.client.create(leases, lease);
      assert.match(created.metadata.resourceVersion ?? '', /^\d+$/);
      assert.notEqual(created.metadata.uid ?? '', '');
      assert.match(created.metadata.creationTimestamp ?? '', /^\d{4}-.*Z$/);
      assert.ok(!('managedFields' in created.metadata));
      assert.deepEqual(created.spec, lease.spec);
      assert.deepEqual(await subject.client.get(leases, { ...refOf(lease) }), created);
    });

    it('refuses to create what exists, what has a bad name, and what already has a version', async () => {
      const lease = leaseNamed(freshName('twice'));
      await subject.client.create(leases, lease);
      const error = await failsAs('already-exists', subject.client.create(leases, lease));
      assert.equal(error.status, 409);
      await failsAs('invalid', subject.client.create(leases, leaseNamed('No_Such_Name')));
      const versioned = leaseNamed(freshName('versioned'), { resourceVersion: '5' });
      await failsAs('server', subject.client.create(leases, versioned));
    });

    it('does not find what is not there', async () => {
      const ref = { namespace: 'default', name: freshName('missing') };
      const error = await failsAs('not-found', subject.client.get(leases, ref));
      assert.equal(error.reason, 'NotFound');
      assert.match(error.message, /leases\.coordination\.k8s\.io ".*" not found/);
      await failsAs('not-found', subject.client.delete(leases, ref));
      await failsAs(
        'not-found',
        subject.client.patch(leases, ref, 'merge', { spec: { holderIdentity: '' } }),
      );
      await failsAs('not-found', subject.client.update(nodes, { metadata: { name: ref.name } }));
    });

    it('takes an update of a missing lease as its creation, but not if it knew the deleted one', async () => {
      const lease = leaseNamed(freshName('reborn'));
      const created = await subject.client.update(leases, lease);
      await subject.client.delete(leases, refOf(lease));
      await failsAs('conflict', subject.client.update(leases, created));
      await failsAs('not-found', subject.client.get(leases, refOf(lease)));
    });

    it('updates only from the current version', async () => {
      const first = await subject.client.create(leases, leaseNamed(freshName('update')));
      const second = await subject.client.update(leases, withHolder(first, 'node-b'));
      assert.equal(second.spec?.holderIdentity, 'node-b');
      assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion);
      const error = await failsAs('conflict', subject.client.update(leases, withHolder(first, 'node-c')));
      assert.equal(error.reason, 'Conflict');
      assert.match(error.message, /the object has been modified/);
    });

    it('refuses to update a lease without a version, or with the uid of another life', async () => {
      const lease = await subject.client.create(leases, leaseNamed(freshName('unconditional')));
      const { namespace = '', name = '' } = lease.metadata;
      await failsAs('invalid', subject.client.update(leases, leaseNamed(name, { namespace })));
      const stranger = { ...lease.metadata, uid: '11111111-2222-3333-4444-555555555555' };
      await failsAs('conflict', subject.client.update(leases, { ...lease, metadata: stranger }));
    });

    it('makes no new version when nothing changed', async () => {
      const lease = await subject.client.create(leases, leaseNamed(freshName('same')));
      const same = await subject.client.update(leases, lease);
      assert.equal(same.metadata.resourceVersion, lease.metadata.resourceVersion);
    });

    it('keeps an emptied holder and microseconds as they were written', async () => {
      const lease = await subject.client.create(leases, leaseNamed(freshName('micro')));
      const spec = {
        ...lease.spec,
        holderIdentity: '',
        leaseDurationSeconds: 1,
        renewTime: '2026-01-02T03:04:07.000001Z',
      };
      const released = await subject.client.update(leases, { ...lease, spec });
      assert.deepEqual(released.spec, spec);
    });

    it('writes status only through its own path', async () => {
      const service = await subject.client.create(services, serviceNamed(freshName('status')));
      const ingress = [{ ip: '192.0.2.7' }];
      const status = { loadBalancer: { ingress } };
      const ignored = await subject.client.update<Service>(services, { ...service, status });
      assert.equal(ignored.status?.loadBalancer?.ingress, undefined);
      const spec = { ...ignored.spec, sessionAffinity: 'ClientIP' };
      const written = await subject.client.update<Service>(
        services,
        { ...ignored, spec, status },
        { subresource: 'status' },
      );
      assert.equal(written.status?.loadBalancer?.ingress?.[0]?.ip, '192.0.2.7');
      assert.notEqual(written.spec.sessionAffinity, 'ClientIP');
      const patched = await subject.client.patch<Service>(
        services,
        refOf(service),
        'merge',
        { status: { loadBalancer: { ingress: null } } },
        { subresource: 'status' },
      );
      assert.equal(patched.status?.loadBalancer?.ingress, undefined);
    });

    it('merges, tests and applies patches', async () => {
      const lease = await subject.client.create(
        leases,
        leaseNamed(freshName('patch'), { labels: { a: '1', b: '2' } }),
      );
      const ref = refOf(lease);
      const change = { metadata: { labels: { a: null, c: '3' } }, spec: { holderIdentity: 'node-z' } };
      const merged = await subject.client.patch<Lease>(leases, ref, 'merge', change);
      assert.deepEqual(merged.metadata.labels, { b: '2', c: '3' });
      assert.equal(merged.spec?.holderIdentity, 'node-z');
      assert.equal(merged.spec.leaseDurationSeconds, 15);
      const move = [
        { op: 'test', path: '/spec/holderIdentity', value: 'node-z' },
        { op: 'replace', path: '/spec/holderIdentity', value: 'node-y' },
      ];
      const moved = await subject.client.patch<Lease>(leases, ref, 'json', move);
      assert.equal(moved.spec?.holderIdentity, 'node-y');
      await failsAs('invalid', subject.client.patch(leases, ref, 'json', move));
    });

    it('applies: creates what is missing, changes what is there', async () => {
      const name = freshName('apply');
      const base = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { namespace: 'default', name },
      };
      const ref = { namespace: 'default', name };
      const options = { fieldManager: 'contract', force: true };
      const body = { ...base, spec: { holderIdentity: 'one' } };
      const created = await subject.client.patch<Lease>(leases, ref, 'apply', body, options);
      assert.equal(created.spec?.holderIdentity, 'one');
      const again = { ...base, spec: { holderIdentity: 'two' } };
      const changed = await subject.client.patch<Lease>(leases, ref, 'apply', again, options);
      assert.equal(changed.spec?.holderIdentity, 'two');
      assert.equal(changed.metadata.uid, created.metadata.uid);
    });

    it('deletes at once, or when the last finalizer is gone', async () => {
      const plain = await subject.client.create(leases, leaseNamed(freshName('delete')));
      await subject.client.delete(leases, refOf(plain));
      await failsAs('not-found', subject.client.get(leases, refOf(plain)));

      const finalizers = ['kube-vip.io/contract'];
      const held = await subject.client.create(leases, leaseNamed(freshName('final'), { finalizers }));
      await subject.client.delete(leases, refOf(held));
      const going = await subject.client.get<Lease>(leases, refOf(held));
      assert.notEqual(going.metadata.deletionTimestamp, undefined);
      await subject.client.patch(leases, refOf(held), 'merge', { metadata: { finalizers: null } });
      await failsAs('not-found', subject.client.get(leases, refOf(held)));
    });
  });
}

function refOf(object: KubeObject): { namespace: string; name: string } {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name ?? '' };
}

function withHolder(lease: Lease, holderIdentity: string): Lease {
  return { ...lease, spec: { ...lease.spec, holderIdentity } };
}
