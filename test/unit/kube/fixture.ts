import { setImmediate as turn } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { Http2KubeClient, fixedCredentials, plainConnection } from '../../../src/kube/index.ts';
import type { ClientOptions, Connection, Credentials, KubeError } from '../../../src/kube/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeApi } from '../../../src/testing/fake-api/index.ts';
import type { ApiListener, ListenOptions } from '../../../src/testing/fake-api/index.ts';
import { recordingLogger, type RecordingLogger } from '../../../src/testing/logger.ts';
import { parsed } from './subject.ts';

export interface ApiFixture {
  readonly api: FakeApi;
  readonly listener: ApiListener;
  readonly client: Http2KubeClient;
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly connection: Connection;
}

/** A fake API server with a client of it, on a clock that stands still; closed when the test ends. */
export async function startApi(
  t: TestContext,
  options: { readonly listen?: ListenOptions; readonly client?: ClientOptions } = {},
): Promise<ApiFixture> {
  const api = new FakeApi();
  const listener = await api.listen(options.listen);
  const connection = plainConnection(parsed(listener.url));
  const { client, clock, log } = clientOf(t, fixedCredentials(connection), options.client);
  t.after(() => api.close());
  return { api, listener, client, clock, log, connection };
}

export function clientOf(
  t: TestContext,
  credentials: Credentials,
  options?: ClientOptions,
): { readonly client: Http2KubeClient; readonly clock: FakeClock; readonly log: RecordingLogger } {
  const clock = new FakeClock();
  const log = recordingLogger();
  const client = new Http2KubeClient({ clock, random: () => 0.5, log, credentials }, options);
  t.after(() => {
    client.close();
  });
  return { client, clock, log };
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<KubeError> {
  try {
    await call;
  } catch (error) {
    return error as KubeError;
  }
  throw new Error('the call did not fail');
}

/** Lets sockets do their work until the condition holds; no timer is involved. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = process.hrtime.bigint() + 5_000_000_000n;
  while (!condition()) {
    if (process.hrtime.bigint() > deadline) throw new Error(`never: ${what}`);
    await turn();
  }
}
