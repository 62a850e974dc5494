import { setImmediate as turn } from 'node:timers/promises';
import { createKubeLeaseStore, watchLeaseWith } from '../../../src/election/index.ts';
import {
  createReflector,
  Http2KubeClient,
  fixedCredentials,
  leases,
  nameSelector,
} from '../../../src/kube/index.ts';
import type { Connection, KubeClient, Lease } from '../../../src/kube/index.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { LeaseSubject } from '../../../src/testing/contract/election-subject.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

let serial = 0;

type LeaseCalls = Pick<KubeClient, 'get' | 'create' | 'update'>;

/** A Lease of its own on an API server; `advance` decides what time is. */
export function kubeSubject(
  connection: Connection,
  time: { readonly clock: Clock; readonly advance: (ms: number) => Promise<void> },
  wrap: (client: KubeClient) => LeaseCalls = (client) => client,
): LeaseSubject {
  const namespace = 'default';
  const name = `lease-${process.pid}-${++serial}`;
  const components = { clock: time.clock, random: Math.random, log: silentLogger };
  const client = new Http2KubeClient({ ...components, credentials: fixedCredentials(connection) });
  const watchLease = watchLeaseWith({ namespace, name }, (listener) =>
    createReflector<Lease>(
      { ...components, client },
      { resource: leases, namespace, fieldSelector: nameSelector(name), listener },
    ),
  );
  return {
    store: (options) =>
      createKubeLeaseStore({ client: wrap(client), watchLease }, { namespace, name, ...options }),
    ...time,
    remove: () => client.delete(leases, { namespace, name }),
    overwriteHolder: async (holder) => {
      await client.patch(leases, { namespace, name }, 'merge', { spec: { holderIdentity: holder } });
    },
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

/** Turns of the event loop in which a watch event of a server in this process arrives. */
const turnsForNews = 40;

/** Like `kubeSubject`, on a clock that stands still while a call is under way. */
export function fakeTimeKubeSubject(connection: Connection): LeaseSubject {
  const clock = new FakeClock({ wall: Date.UTC(2026, 0, 2, 3, 4, 5) });
  const pending = new Set<Promise<unknown>>();
  const track = <T>(call: Promise<T>): Promise<T> => {
    pending.add(call);
    const forget = (): void => {
      pending.delete(call);
    };
    call.then(forget, forget);
    return call;
  };
  const wrap = (client: KubeClient): LeaseCalls => ({
    get: (...call) => track(client.get(...call)),
    create: (...call) => track(client.create(...call)),
    update: (...call) => track(client.update(...call)),
  });
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < turnsForNews; quiet++) {
      await turn();
      if (pending.size > 0) quiet = 0;
    }
  };
  const step = 10;
  const advance = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= step) {
      await settle();
      await clock.advance(Math.min(step, left));
    }
    await settle();
  };
  return kubeSubject(connection, { clock, advance }, wrap);
}
