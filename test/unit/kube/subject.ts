import { Http2KubeClient, createReflector, fixedCredentials, parseServer } from '../../../src/kube/index.ts';
import type { Connection, ServerAddress } from '../../../src/kube/index.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { KubeSubject } from '../../../src/testing/contract/kube/index.ts';

/** A subject of the contract: a client of ours for this server. */
export function subjectFor(
  connection: Connection,
  server: Pick<KubeSubject, 'compact' | 'close'>,
): KubeSubject {
  const clock = systemClock();
  const components = { clock, random: Math.random, log: silentLogger };
  const client = new Http2KubeClient({ ...components, credentials: fixedCredentials(connection) });
  return {
    client,
    compact: () => server.compact(),
    pause: (ms) => clock.sleep('test', ms),
    reflect: (resource, fieldSelector, listener) =>
      createReflector({ ...components, client }, { resource, namespace: 'default', fieldSelector, listener }),
    close: async () => {
      client.close();
      await server.close();
    },
  };
}

/** An address that is known to be one. */
export function parsed(url: string): ServerAddress {
  const server = parseServer(url);
  if (server === undefined) throw new TypeError(`not a server: ${url}`);
  return server;
}
