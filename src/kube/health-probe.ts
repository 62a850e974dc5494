import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import { rootCertificates } from 'node:tls';
import { KubeVipError, messageOf } from '../lib/errors.ts';

/** A health-check CA that cannot be used: fatal at start, because every later check would fail. */
export class HealthCaError extends KubeVipError {
  readonly code = 'HEALTH_CA';
}

const MAX_REDIRECTS = 10;

/**
 * Builds the check behind `control_plane_health_check_address`: GET, redirects followed, 200 is
 * healthy. The CA file is added to the system roots; TLS below 1.2 is refused.
 *
 * @returns a function that resolves to undefined when healthy, else to what was wrong.
 * @throws HealthCaError when the CA file cannot be read or holds no certificate.
 */
export function createHealthProbe(
  address: string,
  caPath: string,
): (signal: AbortSignal) => Promise<string | undefined> {
  const ca = caPath === '' ? undefined : [...rootCertificates, readCa(caPath)];
  return (signal) => check(new URL(address), ca, signal, MAX_REDIRECTS);
}

function readCa(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HealthCaError(`reading health check CA cert ${path}: ${messageOf(error)}`, { cause: error });
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new HealthCaError(`${path} contains no valid certificates; give a PEM file`);
  }
  return text;
}

async function check(
  url: URL,
  ca: string[] | undefined,
  signal: AbortSignal,
  redirects: number,
): Promise<string | undefined> {
  const answer = await get(url, ca, signal);
  const { statusCode = 0, headers } = answer;
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    if (redirects === 0) return `more than ${MAX_REDIRECTS} redirects`;
    return check(new URL(headers.location, url), ca, signal, redirects - 1);
  }
  return statusCode === 200 ? undefined : `${url.href} answered ${statusCode}`;
}

/** A connection of its own for every check: a kept one could outlive the server it once reached. */
async function get(url: URL, ca: string[] | undefined, signal: AbortSignal): Promise<http.IncomingMessage> {
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
            { signal, agent: false, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
            done,
          )
        : http.get(url, { signal, agent: false }, done);
    request.on('error', reject);
  });
}
