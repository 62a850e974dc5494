import { messageOf } from '../lib/errors.ts';
import { errorCode, KubeError } from './errors.ts';
import { formatServer } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';

/** What OpenSSL and Node say, and what it means for whoever set the server up. */
const meanings: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/no application protocol/i, 'it speaks neither HTTP/2 nor HTTP/1.1'],
  [/wrong version number|packet length too long|http request/i, 'it does not speak TLS'],
  [
    /self-signed certificate|unable to (?:get|verify) .*(?:issuer|certificate)/i,
    'its certificate is not signed by the CA that the credentials name (or, where they name none, by one that the system trusts)',
  ],
  [/certificate has expired/i, 'its certificate has expired'],
  [/certificate is not yet valid/i, 'its certificate is not valid yet; is a clock wrong?'],
  [/no start line|bad base64|PEM routines/i, 'a certificate or key of the credentials is not PEM'],
  [/key values mismatch/i, 'key and client certificate of the credentials do not belong together'],
  [/alert (?:bad|unknown|unsupported) certificate|unknown ca/i, 'it refuses our client certificate'],
];

/**
 * A connection that failed, in words that name the server and, where Node speaks of OpenSSL's sources,
 * say what is wrong. What names the server already, and what the API itself said, passes through.
 */
export function explainConnect(error: unknown, server: ServerAddress): unknown {
  const text = wordsOf(error);
  const name = formatServer(server);
  const isProtocol = error instanceof KubeError && error.kind === 'garbage';
  const isSingle = !(error instanceof AggregateError);
  const isNamed = text.includes(name) || (isSingle && /^(?:connect|getaddrinfo) E/.test(text));
  if ((error instanceof KubeError && !isProtocol) || isNamed) return error;
  const meaning = meanings.find(([pattern]) => pattern.test(text))?.[1];
  const message = `cannot connect to ${name}: ${meaning ?? text}`;
  if (isProtocol) return new KubeError({ kind: 'garbage', path: '', message, cause: error });
  return Object.assign(new Error(message, { cause: error }), { code: errorCode(error) });
}

/** Where a name has several addresses Node tries each, and what it throws then has no words of its own. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(messageOf))].join(', ');
  return messageOf(error).trim() || errorCode(error) || 'no reason given';
}
