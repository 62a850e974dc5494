import { test } from 'node:test';
import { ensurePrivilege } from '../../../lab/index.ts';
import { kernelContract } from '../../../src/testing/contract/kernel/index.ts';
import { namespaceSubject } from './namespace-subject.ts';

const refused = ensurePrivilege();
if (refused !== undefined) test('the kernel contract', { skip: refused.because });
else kernelContract('real kernel', async () => namespaceSubject());
