import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseLocation } from '../../../src/election/index.ts';

test('a lease name with a namespace wins over everything', () => {
  const location = leaseLocation({
    leaseName: 'ns1/foo',
    serviceAccountNamespace: 'x',
    controlPlaneNamespace: 'y',
  });
  assert.deepEqual(location, { namespace: 'ns1', name: 'foo' });
});

test('CP-73 in a Pod of namespace X the lease is in X, whatever cp_namespace says', () => {
  const location = leaseLocation({
    leaseName: 'plndr-cp-lock',
    serviceAccountNamespace: 'x\n',
    controlPlaneNamespace: 'y',
  });
  assert.deepEqual(location, { namespace: 'x', name: 'plndr-cp-lock' });
});

test('a static Pod uses cp_namespace, with a warning', () => {
  for (const serviceAccountNamespace of [undefined, '', ' \n']) {
    const location = leaseLocation({
      leaseName: 'lock',
      serviceAccountNamespace,
      controlPlaneNamespace: 'y',
    });
    assert.deepEqual([location.namespace, location.name], ['y', 'lock']);
    assert.match(location.warning ?? '', /namespace y \(cp_namespace\)/);
  }
});
