import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { MemoryLease, memoryLeaseStore } from '../../../src/testing/memory-lease.ts';
import { recordOf } from '../../../src/testing/contract/election-subject.ts';
import type { LeaseSubject } from '../../../src/testing/contract/election-subject.ts';

/** A record in memory, on a clock that moves when told to. */
export function memorySubject(options: { readonly watch: boolean }): LeaseSubject {
  const lease = new MemoryLease();
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 2, 3, 4, 5) });
  return {
    store: (more) => memoryLeaseStore(lease, { ...options, ...more }),
    clock,
    advance: (ms) => clock.advance(ms),
    remove: () => {
      lease.delete();
      return Promise.resolve();
    },
    overwriteHolder: (holder) => {
      lease.put({ ...(lease.current?.record ?? recordOf('')), holderIdentity: holder });
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
