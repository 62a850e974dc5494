import { plainConnection } from '../../../src/kube/index.ts';
import { kubeContract } from '../../../src/testing/contract/kube/index.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import { parsed, subjectFor } from './subject.ts';

for (const http1Only of [false, true]) {
  kubeContract(`fake API server over ${http1Only ? 'HTTP/1.1' : 'HTTP/2'}`, async () => {
    const api = new FakeApi();
    const listener = await api.listen({ http1Only });
    return subjectFor(plainConnection(parsed(listener.url)), {
      compact: async () => {
        api.compact();
      },
      close: () => api.close(),
    });
  });
}
