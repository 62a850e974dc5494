import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { explainConnect } from '../../../src/kube/connect-error.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { fixedCredentials, nodes, plainConnection } from '../../../src/kube/index.ts';
import { clientOf } from './fixture.ts';
import { parsed } from './subject.ts';

const server = parsed('https://10.0.0.1:6443');

test('OpenSSL’s words become what is wrong with which server', () => {
  const told = [
    [
      '40FD63:error:0A000460:SSL routines:ssl3_read_bytes:tlsv1 alert no application protocol:../x.c:918:',
      /HTTP\/1\.1/,
    ],
    [
      '40FD63:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../y.c:77:\n',
      /speak TLS/,
    ],
    [
      'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca',
      /not signed by the CA/,
    ],
    ['unable to verify the first certificate', /not signed by the CA/],
    ['certificate has expired', /expired/],
    ['error:0480006C:PEM routines::no start line', /not PEM/],
  ] as const;
  for (const [text, meaning] of told) {
    const { message } = explainConnect(new Error(text), server) as Error;
    assert.match(message, /^cannot connect to https:\/\/10\.0\.0\.1:6443: /);
    assert.match(message, meaning);
    assert.doesNotMatch(message, /Node\.js|\.c:|routines/);
  }
});

test('what is not known is quoted, with its code; what names the server or is an answer is left alone', () => {
  const refused = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  const explained = explainConnect(refused, server) as Error & { code: string };
  assert.equal(explained.message, 'cannot connect to https://10.0.0.1:6443: read ECONNRESET');
  assert.equal(explained.code, 'ECONNRESET');
  const named = new Error('no connection to https://10.0.0.1:6443 within 5000 ms');
  assert.equal(explainConnect(named, server), named);
  const node = new Error('connect ECONNREFUSED 10.0.0.1:6443');
  assert.equal(explainConnect(node, server), node);
  // What Node throws when it has tried every address of a name.
  const tried = ['127.0.0.1', '::1'].map((address) => new Error(`connect ECONNREFUSED ${address}:6443`));
  const all = Object.assign(new AggregateError(tried), { code: 'ECONNREFUSED' });
  const both = explainConnect(all, server) as Error & { code: string };
  assert.equal(
    both.message,
    'cannot connect to https://10.0.0.1:6443: connect ECONNREFUSED 127.0.0.1:6443, connect ECONNREFUSED ::1:6443',
  );
  assert.equal(both.code, 'ECONNREFUSED');
  const wordless = explainConnect(Object.assign(new Error(''), { code: 'EPROTO' }), server) as Error;
  assert.match(wordless.message, /: EPROTO$/);
  const answer = new KubeError({ kind: 'forbidden', path: 'GET /x', message: 'no' });
  assert.equal(explainConnect(answer, server), answer);
});

test('a call that finds something else than an API server says where', async (t) => {
  const stranger = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n')).listen(0, '127.0.0.1');
  t.after(() => stranger.close());
  await once(stranger, 'listening');
  const { port } = stranger.address() as AddressInfo;
  const connection = plainConnection({ ...parsed(`https://127.0.0.1:${port}`) });
  const { client } = clientOf(t, fixedCredentials(connection));
  await assert.rejects(client.get(nodes, { name: 'x' }), {
    message: `cannot connect to https://127.0.0.1:${port}: it does not speak TLS`,
  });
});
