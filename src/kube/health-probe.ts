import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { KubeVipError, messageOf } from '../lib/errors.ts';
import { namedIsTrusted, trustSystemRoots } from './trust.ts';

/** A health-check CA that cannot be used: fatal at start, because every later check would fail. */
export class HealthCaError extends KubeVipError {
  readonly code = 'HEALTH_CA';
}

const MAX_REDIRECTS = 10;

/**
 * Builds the check behind `control_plane_health_check_address`: GET, redirects followed, 200 is
 * healthy. The CA file is added to the roots that Node has; without one those of the system are. TLS below 1.2 is refused.
 *
 * @returns a function that resolves to undefined when healthy, else to what was wrong.
 * @throws HealthCaError when the CA file cannot be read or holds no certificate.
 */
export function createHealthProbe(
  address: string,
  caPath: string,
): (signal: AbortSignal) => Promise<string | undefined> {
  if (caPath === '' && new URL(address).protocol === 'https:') trustSystemRoots();
  const trust = caPath === '' ? undefined : trustBeside(caPath);
  return (signal) => check(new URL(address), trust, signal, MAX_REDIRECTS);
}

/** Made once: to read 120 authorities takes 15 ms. */
function trustBeside(caPath: string): SecureContext {
  const ca = [...rootCertificates, readCa(caPath)];
  return createSecureContext({ ca, minVersion: 'TLSv1.2', ...namedIsTrusted });
}

function readCa(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HealthCaError(`reading health check CA cert ${path}: ${messageOf(error)}`, { cause: error });
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (!blocks.some(isCertificate))
    throw new HealthCaError(`${path} contains no valid certificates; give a PEM file`);
  return text;
}

/** OpenSSL passes over what it cannot read. */
function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

async function check(
  url: URL,
  trust: SecureContext | undefined,
  signal: AbortSignal,
  redirects: number,
): Promise<string | undefined> {
  const answer = await get(url, trust, signal);
  const { statusCode = 0, headers } = answer;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    if (redirects === 0) return `more than ${MAX_REDIRECTS} redirects`;
    return check(new URL(headers.location, url), trust, signal, redirects - 1);
  }
  return statusCode === 200 ? undefined : `${url.href} answered ${statusCode}`;
}

/** A connection of its own for every check: a kept one could outlive the server it once reached. */
async function get(
  url: URL,
  trust: SecureContext | undefined,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  // Loaded with the first check: no start waits for what few use.
  const https = await import('node:https');
  return new Promise((resolve, reject) => {
    const done = (message: http.IncomingMessage): void => {
      message.resume();
      resolve(message);
    };
    const request =
      url.protocol === 'https:'
        ? https.get(
            url,
            {
              signal,
              agent: false,
              minVersion: 'TLSv1.2',
              ...(trust === undefined ? {} : { secureContext: trust }),
            },
            done,
          )
        : http.get(url, { signal, agent: false }, done);
    request.on('error', reject);
  });
}
