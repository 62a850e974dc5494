import { after, before, describe, test } from 'node:test';
import { findComponent, whyMissing } from '../../../lab/index.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { busyPace, electionContract } from '../../../src/testing/contract/election.ts';
import { leaseStoreContract } from '../../../src/testing/contract/election-store.ts';
import type { LeaseSubject } from '../../../src/testing/contract/election-subject.ts';
import { kubeSubject } from '../../unit/election/kube-subject.ts';
import { startRealApi } from '../kube/real-api.ts';
import type { RealApi } from '../kube/real-api.ts';

const missing = whyMissing(['etcd', 'kube-apiserver'].map(findComponent));
if (missing !== undefined) test('elections on the real API server', { skip: missing });
else {
  describe('on kube-apiserver and etcd', () => {
    let api: RealApi | undefined;
    before(async () => {
      api = await startRealApi();
    });
    after(() => api?.close());

    const clock = systemClock();
    const open = (): Promise<LeaseSubject> => {
      if (api === undefined) throw new Error('the API server did not start');
      const advance = (ms: number): Promise<void> => clock.sleep('contract', ms);
      return Promise.resolve(kubeSubject(api.connection, { clock, advance }));
    };
    leaseStoreContract('kube-apiserver', open);
    electionContract('kube-apiserver', open, busyPace);
  });
}
