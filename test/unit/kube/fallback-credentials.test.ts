import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FallbackCredentials, fixedCredentials, plainConnection } from '../../../src/kube/index.ts';
import type { Connection, Credentials } from '../../../src/kube/index.ts';
import { ip } from '../../../src/lib/ip.ts';

const own = plainConnection({ scheme: 'https', host: 'kubernetes', port: 6443, basePath: '' });
const hostOf = ({ server, tlsServerName }: Connection): string =>
  `${server.host}:${server.port} as ${tlsServerName ?? server.host}`;

test('a server that cannot be reached is followed by the others in turn, and by the own one again', async () => {
  const credentials = new FallbackCredentials(fixedCredentials(own), 6443);
  assert.equal(hostOf(await credentials.current()), 'kubernetes:6443 as kubernetes');
  await credentials.refresh();
  assert.equal(
    hostOf(await credentials.current()),
    'kubernetes:6443 as kubernetes',
    'nobody else is known yet',
  );
  credentials.setOthers([ip('10.0.0.2'), ip('10.0.0.3')]);
  const seen: string[] = [];
  for (let n = 0; n < 3; n++) seen.push(hostOf(await credentials.refresh()));
  assert.deepEqual(seen, [
    '10.0.0.2:6443 as kubernetes',
    '10.0.0.3:6443 as kubernetes',
    'kubernetes:6443 as kubernetes',
  ]);
});

test('a proxy that leads to the own server is not asked for the others', async () => {
  const proxy = { host: 'p', port: 3128, authorization: undefined, name: 'proxy-url p:3128' };
  const credentials = new FallbackCredentials(fixedCredentials({ ...own, proxy }), 6443);
  credentials.setOthers([ip('10.0.0.2')]);
  assert.equal((await credentials.current()).proxy, proxy);
  assert.equal((await credentials.refresh()).proxy, undefined);
});

test('credentials that changed on disk are tried at the same server first', async () => {
  let connection: Connection = own;
  const disk: Credentials = {
    origin: 'disk',
    get known() {
      return connection;
    },
    current: () => Promise.resolve(connection),
    refresh: () => {
      connection = { ...own, token: 'new' };
      return Promise.resolve(connection);
    },
  };
  const credentials = new FallbackCredentials(disk, 6443);
  credentials.setOthers([ip('10.0.0.2')]);
  assert.equal(hostOf(await credentials.refresh()), 'kubernetes:6443 as kubernetes');
  assert.equal((await credentials.current()).token, 'new');
});

test('a server that is no longer part of the control plane is left', async () => {
  const credentials = new FallbackCredentials(fixedCredentials(own), 6443);
  credentials.setOthers([ip('10.0.0.2')]);
  await credentials.refresh();
  credentials.setOthers([]);
  assert.equal(hostOf(await credentials.current()), 'kubernetes:6443 as kubernetes');
});
