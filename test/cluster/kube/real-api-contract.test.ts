import { test } from 'node:test';
import { findComponent, whyMissing } from '../../../lab/index.ts';
import { kubeContract } from '../../../src/testing/contract/kube/index.ts';
import { subjectFor } from '../../unit/kube/subject.ts';
import { startRealApi } from './real-api.ts';

const missing = whyMissing(['etcd', 'kube-apiserver'].map(findComponent));
if (missing !== undefined) test('the API contract on the real server', { skip: missing });
else {
  kubeContract('kube-apiserver and etcd', async () => {
    const api = await startRealApi();
    return subjectFor(api.connection, {
      compact: async () => {
        await api.compact();
        await api.restart(); // its watch cache remembers what etcd has forgotten
      },
      close: () => api.close(),
    });
  });
}
