import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import { World, type TestNode } from './scene.ts';

const byLease = { perServiceElection: true };

/** `metric name reason` of everything that failed, sorted. */
const failures = ({ metrics }: TestNode): readonly string[] =>
  [...[...metrics.exposition()].join('').matchAll(/^kube_vip_service_(\w+)_errors_total\{(.*)\} [1-9]/gm)]
    .map(([, metric = '', labels = '']) => {
      const { namespace, name, reason } = Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value]) => [label, value]),
      );
      return `${metric} ${namespace}/${name} ${reason}`;
    })
    .sort();

test('OBS-04 what fails for a Service is counted under the reasons of kube-vip', async (t) => {
  const world = new World(byLease);
  t.after(() => world.close());
  const node = await world.add('a');
  await world.run(400);
  world.serve({ name: 'web', vip: '192.0.2.1' });
  world.serve({ name: 'lost', vip: '192.0.2.2' });
  world.serve({ name: 'ended', vip: '192.0.2.5' });
  await world.run(400);
  assert.deepEqual(failures(node), []);

  const annotations = { 'kube-vip.io/leaseName': 'shared' };
  world.serve({ name: 'mixed', vip: '192.0.2.3', policy: 'Local', annotations });
  world.serve({ name: 'off', vip: '192.0.2.4', annotations: { 'kube-vip.io/serviceInterface': 'eth9' } });
  world.lease('shop/kubevip-lost').put(recordOf('somebody'));
  await world.run(400);
  node.isBroken = true;
  world.put({ name: 'web', vip: '192.0.2.1', port: 81 });
  world.remove('ended');
  node.isBroken = false;
  assert.deepEqual(failures(node), [
    'election shop/lost no_lease',
    'reconcile shop/ended delete_service',
    'reconcile shop/mixed invalid_config',
    'reconcile shop/off new_instance',
    'reconcile shop/web service_context',
  ]);
});

test('SVC-21 no series of a lease stays when the last Service that needed one of its name is deleted', async (t) => {
  const world = new World(byLease);
  t.after(() => world.close());
  const node = await world.add('a');
  await world.run(400);
  world.serve({ name: 'web', vip: '192.0.2.1' });
  const annotations = { 'kube-vip.io/leaseName': 'blog/kubevip-web' };
  world.serve({ name: 'namesake', vip: '192.0.2.2', annotations });
  world.serve({ name: 'other', vip: '192.0.2.3' });
  await world.run(400);
  const series = (): readonly string[] => [
    ...new Set(
      [...[...node.metrics.exposition()].join('').matchAll(/lease_name="([^"]*)"/g)].map(
        ([, name = '']) => name,
      ),
    ),
  ];
  assert.deepEqual(series(), ['kubevip-web', 'kubevip-other']);
  // Without endpoints the lease is given up, and may be held again.
  world.endpoints('other');
  await world.run(400);
  assert.deepEqual(series(), ['kubevip-web', 'kubevip-other']);
  world.remove('other');
  world.remove('web');
  await world.run(400);
  assert.deepEqual(series(), ['kubevip-web']);
  world.remove('namesake');
  await world.run(400);
  assert.deepEqual(series(), []);
  // Who is given the address of a deleted Service holds its former lease for a while.
  world.serve({ name: 'first', vip: '192.0.2.4' });
  await world.run(400);
  world.remove('first');
  world.serve({ name: 'second', vip: '192.0.2.4' });
  await world.run(20_000);
  assert.deepEqual(series(), ['kubevip-second']);
});
