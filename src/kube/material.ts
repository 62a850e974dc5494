export type MaterialKind = 'ca' | 'cert' | 'key' | 'token';

const pem = (label: string): RegExp => new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`);
const certificate = pem('(?:X509 |TRUSTED )?CERTIFICATE');
const privateKey = pem('(?:RSA |EC )?PRIVATE KEY');
/** PKCS #8, and RFC 1421 as OpenSSL wrote it before. */
const encryptedKey = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/**
 * What is wrong with a credential; undefined when it can be used. A file that is read while it is being replaced
 * is empty or cut off: with this it is an error, so that what was read before stays in use.
 */
export function whyUnusable(kind: MaterialKind, text: string): string | undefined {
  switch (kind) {
    case 'token':
      return text.trim() === '' ? 'is empty' : undefined;
    case 'key':
      if (encryptedKey.test(text)) return 'is encrypted: give one without a passphrase';
      return privateKey.test(text) ? undefined : 'holds no private key (PEM)';
    default:
      return certificate.test(text) ? undefined : 'holds no certificate (PEM)';
  }
}
