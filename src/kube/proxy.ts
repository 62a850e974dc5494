import { KubeVipError } from '../lib/errors.ts';
import { familyOf, ipToBytes, parseIp, parsePrefix, type Ip } from '../lib/ip.ts';
import { authorityOf, formatServer, type ServerAddress } from './server-address.ts';

/** A proxy that is set in the environment and cannot be used. Fatal at start. */
export class ProxyError extends KubeVipError {
  readonly code = 'PROXY';
}

/** Carries connections to the API server on request (CONNECT, RFC 9110 9.3.6). */
export interface Proxy {
  readonly host: string;
  readonly port: number;
  /** `Proxy-Authorization`. */
  readonly authorization: string | undefined;
  /** For people: what names it, and where it is. */
  readonly name: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment has for this server, by the rules of Go's golang.org/x/net/http/httpproxy, which
 * client-go follows: HTTPS_PROXY, and NO_PROXY with addresses, prefixes, names (with all below them) and ports; never
 * for this machine.
 *
 * @throws ProxyError when the proxy is none that can be used here.
 */
export function proxyFor(server: ServerAddress, environment: Environment): Proxy | undefined {
  const variable = server.scheme === 'https' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = read(environment, variable);
  if (value === '' || isThisMachine(server.host) || isExempt(server, read(environment, 'NO_PROXY')))
    return undefined;
  const proxy = parseProxy(value, variable, server);
  if (!('problem' in proxy)) return proxy;
  throw new ProxyError(`${variable}${proxy.problem}, or name ${server.host} in NO_PROXY`);
}

/**
 * A proxy by its URL (`http://[USER:PASSWORD@]HOST[:PORT]`, the scheme may be left out), to reach this server.
 *
 * @param variable what holds the URL, for messages.
 * @returns or what is wrong with it, to be put behind the name of what holds it.
 */
export function parseProxy(
  value: string,
  variable: string,
  server: ServerAddress,
): Proxy | { readonly problem: string } {
  const url = URL.parse(/^[a-z][a-z0-9]*:\/\//i.test(value) ? value : `http://${value}`);
  if (url === null || url.hostname === '')
    return { problem: ' is no URL of a proxy; write http://HOST:PORT' };
  if (url.protocol !== 'http:') return { problem: ': only proxies that speak HTTP are supported: give one' };
  if (server.scheme === 'http')
    return { problem: `: ${formatServer(server)} without TLS is reached directly only: unset it` };
  const login = loginOf(url);
  if (login === undefined) return { problem: ': user or password cannot be read: write a % as %25' };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? 80 : Number(url.port);
  return {
    host,
    port,
    authorization: login === ':' ? undefined : `Basic ${Buffer.from(login).toString('base64')}`,
    name: `${variable} ${authorityOf({ ...server, host, port })}`,
  };
}

/** Do both lead the same way? */
export function sameProxy(a: Proxy | undefined, b: Proxy | undefined): boolean {
  return a?.host === b?.host && a?.port === b?.port && a?.authorization === b?.authorization;
}

/** `user:password`; undefined: it cannot be read. */
function loginOf({ username, password }: URL): string | undefined {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return undefined;
  }
}

/** As curl and Go do: either spelling, capitals first. */
function read(environment: Environment, name: string): string {
  return (environment[name] || environment[name.toLowerCase()] || '').trim();
}

/** By its name or address alone. */
export function isThisMachine(host: string): boolean {
  const address = parseIp(host);
  return host.toLowerCase() === 'localhost' || (address !== undefined && isLoopback(address));
}

function isExempt({ host, port }: ServerAddress, list: string): boolean {
  const address = parseIp(host);
  return list
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .some((item) => item === '*' || (item !== '' && matches(item, host.toLowerCase(), address, port)));
}

function matches(item: string, host: string, address: Ip | undefined, port: number): boolean {
  const prefix = parsePrefix(item);
  if (prefix !== undefined) return address !== undefined && isWithin(address, prefix.address, prefix.length);
  const [, bracketed, plain, only] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(item) ?? [];
  if (only !== undefined && Number(only) !== port) return false;
  const name = bracketed ?? plain ?? item;
  const single = parseIp(name);
  if (single !== undefined) return single === address;
  // `a.b` is a.b and all below it, `.a.b` and `*.a.b` what is below it.
  const below = name.startsWith('*.') ? name.slice(1) : name;
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

function isLoopback(address: Ip): boolean {
  return familyOf(address) === 4 ? address.startsWith('127.') : address === '::1';
}

function isWithin(address: Ip, network: Ip, length: number): boolean {
  if (familyOf(address) !== familyOf(network)) return false;
  const [bytes, wanted] = [ipToBytes(address), ipToBytes(network)];
  return bytes.every((byte, i) => {
    const bits = Math.max(0, Math.min(8, length - 8 * i));
    return (byte ^ (wanted[i] ?? 0)) >> (8 - bits) === 0;
  });
}
