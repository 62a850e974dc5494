import { after, before } from 'node:test';
import { plainConnection } from '../../../src/kube/index.ts';
import { electionContract } from '../../../src/testing/contract/election.ts';
import { leaseStoreContract } from '../../../src/testing/contract/election-store.ts';
import type { LeaseSubject } from '../../../src/testing/contract/election-subject.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import type { ApiListener } from '../../../src/testing/fake-api/index.ts';
import { parsed } from '../kube/subject.ts';
import { fakeTimeKubeSubject } from './kube-subject.ts';

const api = new FakeApi();
let listener: ApiListener | undefined;

before(async () => {
  listener = await api.listen();
});
after(() => api.close());

function open(): Promise<LeaseSubject> {
  if (listener === undefined) throw new Error('the fake API server does not listen');
  return Promise.resolve(fakeTimeKubeSubject(plainConnection(parsed(listener.url))));
}

leaseStoreContract('the fake API server', open);
electionContract('the fake API server', open);
