import assert from 'node:assert/strict';
import { KubeError } from '../../../kube/index.ts';
import type {
  Http2KubeClient,
  KubeErrorKind,
  KubeObject,
  Lease,
  Reflector,
  ReflectorListener,
  Resource,
} from '../../../kube/index.ts';

/** An API server and what the contract needs to do to it. */
export interface KubeSubject {
  readonly client: Http2KubeClient;
  /** Forgets old versions, so that continue tokens and watches from before expire. */
  compact(): Promise<void>;
  /** Waits, really. */
  pause(ms: number): Promise<void>;
  reflect<T extends KubeObject>(
    resource: Resource,
    fieldSelector: string,
    listener: ReflectorListener<T>,
  ): Reflector<T>;
  close(): Promise<void>;
}

export type OpenSubject = () => Promise<KubeSubject>;

let serial = 0;

/** A name no other test uses, also when the server outlives the test. */
export function freshName(what: string): string {
  return `${what}-${process.pid}-${++serial}`;
}

export function leaseNamed(name: string, more: Partial<KubeObject['metadata']> = {}): Lease {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'default', name, ...more },
    spec: {
      holderIdentity: 'node-a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-02T03:04:05.678901Z',
      renewTime: '2026-01-02T03:04:06.000000Z',
      leaseTransitions: 0,
    },
  };
}

/** Asserts that a call fails with this kind of KubeError, and returns it. */
export async function failsAs(kind: KubeErrorKind, call: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KubeError, `expected a KubeError, got ${String(error)}`);
  assert.equal(error.kind, kind, error.message);
  return error;
}

/** Waits for a condition; the deadline is generous because the real server shares its machine. */
export async function until(subject: KubeSubject, what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    assert.ok(waited < 30_000, `waited 30 s for ${what}`);
    await subject.pause(5);
  }
}
