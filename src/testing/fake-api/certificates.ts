import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { ip, ipToBytes } from '../../lib/ip.ts';

/** PEM texts. */
export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority made on the spot, so that no key is kept in the tree. */
export interface Authority {
  readonly cert: string;
  /** A certificate for these DNS names and addresses, good for servers and clients. */
  issue(commonName: string, names: readonly string[]): KeyPair;
}

const oid = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
};

/** RFC 5280 4.1.2.5: UTCTime until 2049, GeneralizedTime after. */
const validity = sequence(
  tlv(0x17, Buffer.from('200101000000Z', 'latin1')),
  tlv(0x18, Buffer.from('21200101000000Z', 'latin1')),
);

/** Creates a self-signed P-256 authority (X.509 v3, RFC 5280). */
export function createAuthority(commonName: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension(oid.basicConstraints, sequence(boolean(true)), true),
    extension(oid.keyUsage, Buffer.from([0x03, 0x02, 0x01, 0x06]), true), // keyCertSign, cRLSign
  ];
  const cert = certificate(commonName, keys.publicKey, extensions, commonName, keys.privateKey);
  return {
    cert,
    issue: (subject, names) => {
      const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const altNames = extension(oid.subjectAltName, sequence(...names.map(generalName)), false);
      return {
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        cert: certificate(subject, own.publicKey, [altNames], commonName, keys.privateKey),
      };
    },
  };
}

function certificate(
  subject: string,
  publicKey: KeyObject,
  extensions: readonly Buffer[],
  issuer: string,
  issuerKey: KeyObject,
): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  const tbs = sequence(
    tagged(0xa0, Buffer.from([0x02, 0x01, 0x02])), // version 3
    tlv(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(15)])), // serial, positive
    algorithm,
    distinguishedName(issuer),
    validity,
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', tbs, issuerKey);
  const der = sequence(tbs, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function extension(id: string, value: Buffer, critical: boolean): Buffer {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), tlv(0x04, value));
}

/** RFC 5280 4.2.1.6: dNSName [2], iPAddress [7]. */
function generalName(name: string): Buffer {
  return isIP(name) === 0
    ? tlv(0x82, Buffer.from(name, 'latin1'))
    : tlv(0x87, Buffer.from(ipToBytes(ip(name))));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(objectId(oid.commonName), tlv(0x0c, Buffer.from(commonName, 'utf8')))));
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const bytes = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

function boolean(value: boolean): Buffer {
  return tlv(0x01, Buffer.from([value ? 0xff : 0]));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  return tlv(tag, content);
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >>> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}
