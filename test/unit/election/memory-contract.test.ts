import { electionContract } from '../../../src/testing/contract/election.ts';
import { leaseStoreContract } from '../../../src/testing/contract/election-store.ts';
import { memorySubject } from './memory-subject.ts';

const watching = (): Promise<ReturnType<typeof memorySubject>> =>
  Promise.resolve(memorySubject({ watch: true }));
const polling = (): Promise<ReturnType<typeof memorySubject>> =>
  Promise.resolve(memorySubject({ watch: false }));

leaseStoreContract('memory', watching);
electionContract('memory', watching);
electionContract('memory without a watch', polling);
