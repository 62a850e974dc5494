import * as tls from 'node:tls';

let isDone = false;

/**
 * From now on this process trusts the authorities of the system beside those that Node brings along, as Go programs do:
 * `SSL_CERT_FILE`, `SSL_CERT_DIR`, or what is usual on this machine. For servers whose authority nobody has named; all
 * others never need it, and reading takes up to a tenth of a second and 2 MB. What cannot be read is left out.
 */
export function trustSystemRoots(): void {
  // Node 24.0 to 24.4 has no such function.
  if (isDone || !('setDefaultCACertificates' in tls)) return;
  isDone = true;
  const roots = new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')]);
  tls.setDefaultCACertificates([...roots]);
}

/**
 * Who is named is trusted, as by Go programs, also one that has its own certificate from somebody else: the CA of a
 * cluster may be an intermediate one, and kubeconfigs name no more than that. OpenSSL wants a chain up to the root.
 */
export const namedIsTrusted = { allowPartialTrustChain: true } as const;
