import { parseDocument } from 'yaml';
import { KubeVipError, messageOf } from '../lib/errors.ts';
import { parseProxy, type Proxy } from './proxy.ts';
import { parseServer } from './server-address.ts';
import type { ServerAddress } from './server-address.ts';

/** A kubeconfig that cannot be used. Fatal at start; later the last good one stays in use. */
export class KubeconfigError extends KubeVipError {
  readonly code = 'KUBECONFIG';
  readonly path: string;

  constructor(path: string, detail: string, options?: ErrorOptions) {
    super(`kubeconfig ${path}: ${detail}`, options);
    this.path = path;
  }
}

/** Text given in the file itself, or the name of a file that holds it. */
export type Material = { readonly text: string } | { readonly file: string };

/** The current context of a kubeconfig, files not read yet. */
export interface Kubeconfig {
  readonly context: string;
  readonly server: ServerAddress;
  readonly ca: Material | undefined;
  readonly cert: Material | undefined;
  readonly key: Material | undefined;
  readonly token: Material | undefined;
  readonly isInsecure: boolean;
  readonly tlsServerName: string | undefined;
  /** `proxy-url` */
  readonly proxy: Proxy | undefined;
}

/** Far above any real kubeconfig; bounds what a wrong path can make us parse. */
export const MAX_KUBECONFIG_BYTES = 1 << 20;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a kubeconfig (the `Config` kind of client-go's clientcmd/api/v1; YAML or JSON).
 *
 * @param path only for messages and to name the file; relative references stay as written.
 * @throws KubeconfigError naming what is wrong, for any text whatever.
 */
export function parseKubeconfig(text: string, path: string): Kubeconfig {
  const root = parseRoot(text, path);
  const context = currentContext(root, path);
  const cluster = named(root, 'clusters', 'cluster', stringOf(context.fields, 'cluster', path), path);
  const userName = stringOf(context.fields, 'user', path);
  const user = userName === undefined ? {} : named(root, 'users', 'user', userName, path);
  refuseUnsupported(user, path);
  const address = stringOf(cluster, 'server', path);
  const server = parseServer(address ?? '');
  if (server === undefined) {
    throw new KubeconfigError(
      path,
      `cluster of context "${context.name}" has no usable server: ${address ?? '(none)'}`,
    );
  }
  const cert = material(user, 'client-certificate', path);
  const key = material(user, 'client-key', path);
  if ((cert === undefined) !== (key === undefined)) {
    throw new KubeconfigError(path, 'client-certificate and client-key must be given together');
  }
  return {
    context: context.name,
    server,
    ca: material(cluster, 'certificate-authority', path),
    cert,
    key,
    token: tokenOf(user, path),
    isInsecure: booleanOf(cluster, 'insecure-skip-tls-verify', path),
    tlsServerName: stringOf(cluster, 'tls-server-name', path),
    proxy: proxyOf(cluster, server, path),
  };
}

function proxyOf(cluster: Fields, server: ServerAddress, path: string): Proxy | undefined {
  const url = stringOf(cluster, 'proxy-url', path);
  if (url === undefined) return undefined;
  const proxy = parseProxy(url, 'proxy-url', server);
  if (!('problem' in proxy)) return proxy;
  throw new KubeconfigError(path, `proxy-url${proxy.problem}, or take it out`);
}

function parseRoot(text: string, path: string): Fields {
  if (text.length > MAX_KUBECONFIG_BYTES)
    throw new KubeconfigError(path, `larger than ${MAX_KUBECONFIG_BYTES} bytes`);
  let value: unknown;
  try {
    const document = parseDocument(text, { logLevel: 'silent', prettyErrors: true });
    const [first] = document.errors;
    if (first !== undefined) throw first;
    value = document.toJS();
  } catch (error) {
    // The parser goes on with a picture of the place.
    const detail = messageOf(error).split('\n', 1)[0]?.replace(/:$/, '') ?? '';
    throw new KubeconfigError(path, `not valid YAML: ${detail}`, { cause: error });
  }
  if (!isFields(value)) throw new KubeconfigError(path, 'is not a kubeconfig (no mapping at the top)');
  return value;
}

function currentContext(root: Fields, path: string): { readonly name: string; readonly fields: Fields } {
  const entries = entriesOf(root, 'contexts', path);
  const only = entries.length === 1 ? entries[0]?.name : undefined;
  const name = stringOf(root, 'current-context', path) ?? (typeof only === 'string' ? only : undefined);
  if (name === undefined) throw new KubeconfigError(path, 'current-context is not set');
  return { name, fields: named(root, 'contexts', 'context', name, path) };
}

/** The body of the entry called `name` in one of the lists of named things. */
function named(root: Fields, list: string, body: string, name: string | undefined, path: string): Fields {
  const entry = entriesOf(root, list, path).find((candidate) => candidate.name === name);
  const fields = entry?.[body];
  if (fields === undefined) throw new KubeconfigError(path, `no ${body} named "${name ?? ''}" in ${list}`);
  if (fields === null) return {};
  if (!isFields(fields)) throw new KubeconfigError(path, `${body} "${name ?? ''}" is not a mapping`);
  return fields;
}

function entriesOf(root: Fields, list: string, path: string): readonly Fields[] {
  const value = root[list];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new KubeconfigError(path, `${list} is not a list`);
  return value.filter(isFields);
}

function refuseUnsupported(user: Fields, path: string): void {
  const instead = 'give a client certificate, a token or a tokenFile';
  if (isSet(user.exec)) throw new KubeconfigError(path, `exec plugins are not run: ${instead}`);
  if (isSet(user['auth-provider']))
    throw new KubeconfigError(path, `auth-provider is not supported: ${instead}`);
  if (isSet(user.username) || isSet(user.password)) {
    throw new KubeconfigError(
      path,
      `username and password are not supported by API servers any more: ${instead}`,
    );
  }
  const other = ['as', 'as-uid', 'as-groups', 'as-user-extra'].find((name) => isSet(user[name]));
  if (other !== undefined)
    throw new KubeconfigError(path, `${other}: nobody is impersonated; give the credentials of that user`);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

/** `<name>-data` (base64) wins over `<name>` (a file), as in client-go. */
function material(fields: Fields, name: string, path: string): Material | undefined {
  const data = stringOf(fields, `${name}-data`, path);
  if (data !== undefined) return { text: decodeBase64(data, `${name}-data`, path) };
  const file = stringOf(fields, name, path);
  return file === undefined ? undefined : { file };
}

/** `tokenFile` wins over `token`, as in client-go. */
function tokenOf(user: Fields, path: string): Material | undefined {
  const file = stringOf(user, 'tokenFile', path);
  if (file !== undefined) return { file };
  const token = stringOf(user, 'token', path);
  return token === undefined ? undefined : { text: token };
}

function decodeBase64(data: string, name: string, path: string): string {
  const compact = data.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) throw new KubeconfigError(path, `${name} is not base64`);
  return Buffer.from(compact, 'base64').toString('utf8');
}

/** A string field; empty counts as not given. */
function stringOf(fields: Fields, name: string, path: string): string | undefined {
  const value = fields[name];
  if (!isSet(value)) return undefined;
  if (typeof value !== 'string') throw new KubeconfigError(path, `${name} is not a text`);
  return value;
}

function booleanOf(fields: Fields, name: string, path: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw new KubeconfigError(path, `${name} is not true or false`);
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
