import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { requireComponent } from './components.ts';
import { run } from './exec.ts';

/** The certificates and keys of one lab's API servers, as files. */
export interface Pki {
  readonly caFile: string;
  /** PEM text, for kubeconfigs. */
  readonly ca: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly serviceAccountKeyFile: string;
}

/** Makes an authority, one server certificate for all the names and addresses, and the service-account key. */
export async function makePki(
  dir: string,
  names: readonly string[],
  addresses: readonly string[],
): Promise<Pki> {
  const openssl = requireComponent('openssl');
  const file = (name: string): string => path.join(dir, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const request = ['req', '-x509', '-sha256', '-days', '30', ...newKey];
  await run(openssl, [
    ...request,
    ...['-subj', '/CN=kube-vip-lab-ca', '-keyout', file('ca.key'), '-out', file('ca.crt')],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
  const alternatives = [
    ...names.map((name) => `DNS:${name}`),
    ...addresses.map((address) => `IP:${address}`),
  ];
  await Promise.all([
    run(openssl, [
      ...request,
      ...['-subj', '/CN=kube-apiserver', '-keyout', file('apiserver.key'), '-out', file('apiserver.crt')],
      ...[
        '-CA',
        file('ca.crt'),
        '-CAkey',
        file('ca.key'),
        '-set_serial',
        `0x${randomBytes(8).toString('hex')}`,
      ],
      ...['-addext', `subjectAltName=${alternatives.join(',')}`],
      ...[
        '-addext',
        'basicConstraints=critical,CA:FALSE',
        '-addext',
        'extendedKeyUsage=serverAuth,clientAuth',
      ],
    ]),
    run(openssl, [
      'genpkey',
      '-algorithm',
      'RSA',
      '-pkeyopt',
      'rsa_keygen_bits:2048',
      '-out',
      file('sa.key'),
    ]),
  ]);
  return {
    caFile: file('ca.crt'),
    ca: readFileSync(file('ca.crt'), 'utf8'),
    certFile: file('apiserver.crt'),
    keyFile: file('apiserver.key'),
    serviceAccountKeyFile: file('sa.key'),
  };
}
