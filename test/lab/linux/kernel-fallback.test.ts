import { test } from 'node:test';
import { ensurePrivilege } from '../../../lab/index.ts';
import { eventContract, packetContract } from '../../../src/testing/contract/kernel/index.ts';
import { namespaceSubject } from './namespace-subject.ts';

const refused = ensurePrivilege();
const name = 'real kernel, without readiness from the event loop';
if (refused !== undefined) test(name, { skip: refused.because });
else {
  const open = async (): Promise<ReturnType<typeof namespaceSubject>> =>
    namespaceSubject({ forceFallback: true });
  eventContract(name, open);
  packetContract(name, open);
}
