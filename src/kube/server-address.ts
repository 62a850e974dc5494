/** Where an API server listens, taken apart. */
export interface ServerAddress {
  readonly scheme: 'http' | 'https';
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path in front of every API path ('' or `/k8s/clusters/x`), as some proxies want it. */
  readonly basePath: string;
}

/**
 * Reads an API server as users write it: a URL, `host:port`, `host`, `[::1]:6443`, or a bare IPv6
 * address. Without a scheme TLS is assumed, as client-go does when the kubeconfig has a CA.
 * Undefined when it is none of these.
 */
export function parseServer(text: string): ServerAddress | undefined {
  const trimmed = text.trim();
  const bare = !trimmed.includes('://');
  const isBareIpv6 = bare && !trimmed.startsWith('[') && trimmed.split(':').length > 2;
  const url = URL.parse(bare ? `https://${isBareIpv6 ? `[${trimmed}]` : trimmed}` : trimmed);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return undefined;
  if (url.hostname === '' || url.username !== '' || url.search !== '' || url.hash !== '') return undefined;
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return {
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    basePath: url.pathname.replace(/\/+$/, ''),
  };
}

/** `host:port`, IPv6 in brackets: the HTTP/2 :authority. */
export function authorityOf(server: ServerAddress): string {
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  return `${host}:${server.port}`;
}

export function formatServer(server: ServerAddress): string {
  return `${server.scheme}://${authorityOf(server)}${server.basePath}`;
}
