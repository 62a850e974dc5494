import { connect as tlsConnect } from 'node:tls';
import { TimeoutError } from '../lib/errors.ts';
import { parseIp } from '../lib/ip.ts';
import type { Ip } from '../lib/ip.ts';
import { KubeError } from './errors.ts';
import { isVip } from './select-client.ts';

/** The API server's port on this machine; fixed in kube-vip. */
export const LOCAL_API_PORT = 6443;
const HANDSHAKE_TIMEOUT_MS = 3000;

export interface DetectProbes {
  /** Addresses in the certificate of the API server on this machine, in the certificate's order. */
  readonly certificateAddresses: () => Promise<readonly Ip[]>;
  /** Does an API server answer /version at this address, port 6443, within 2 s? */
  readonly answers: (address: Ip) => Promise<boolean>;
}

/**
 * `cp_detect`: the first address in the local API server's certificate at which an API server
 * answers. Our own VIPs are in that certificate too and are passed over.
 *
 * @throws KubeError kind `unreachable` when there is none (yet).
 */
export async function detectServer(probes: DetectProbes, vips: readonly string[]): Promise<Ip> {
  const addresses = (await probes.certificateAddresses()).filter((address) => !isVip(address, vips));
  for (const address of addresses) if (await probes.answers(address)) return address;
  const tried = addresses.length === 0 ? 'it names no address' : `tried ${addresses.join(', ')}`;
  throw new KubeError({
    kind: 'unreachable',
    path: '',
    message: `no API server answers at an address of the local API server's certificate (${tried})`,
  });
}

/** IP entries of a certificate's subjectAltName as Node prints it (`DNS:a, IP Address:10.0.0.1, …`). */
export function addressesOfSubjectAltName(text: string): readonly Ip[] {
  return text
    .split(', ')
    .filter((entry) => entry.startsWith('IP Address:'))
    .map((entry) => parseIp(entry.slice('IP Address:'.length)))
    .filter((address) => address !== undefined);
}

/** Real probe: a TLS handshake without verification, only to read the certificate. */
export function localCertificateAddresses(port: number = LOCAL_API_PORT): Promise<readonly Ip[]> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => {
      socket.destroy(
        new TimeoutError(`no TLS handshake with 127.0.0.1:${port} in ${HANDSHAKE_TIMEOUT_MS} ms`),
      );
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
      socket.destroy();
      resolve(addressesOfSubjectAltName(names));
    });
  });
}
