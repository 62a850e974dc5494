import { plainConnection } from '../../../src/kube/index.ts';
import { kubeContract } from '../../../src/testing/contract/kube/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { parsed, subjectFor } from './subject.ts';

kubeContract('fake API server', async () => {
  const api = new FakeApi();
  const listener = await api.listen();
  return subjectFor(plainConnection(parsed(listener.url)), {
    compact: async () => {
      api.compact();
    },
    close: () => api.close(),
  });
});
