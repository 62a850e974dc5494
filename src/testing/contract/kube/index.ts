import { after, before, describe } from 'node:test';
import { collectionContract } from './collections.ts';
import { objectContract } from './objects.ts';
import type { KubeSubject, OpenSubject } from './subject.ts';

export type { KubeSubject, OpenSubject } from './subject.ts';

/** What client and API server promise each other: run on the fake and on the real one, so that the fake cannot lie. */
export function kubeContract(name: string, open: OpenSubject): void {
  describe(`${name} keeps the contract`, () => {
    let subject: KubeSubject | undefined;
    const opened = (): KubeSubject => {
      if (subject === undefined) throw new Error('the server did not start');
      return subject;
    };
    before(async () => {
      subject = await open();
    });
    after(() => subject?.close());
    objectContract(opened);
    collectionContract(opened);
  });
}
