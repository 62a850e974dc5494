import { proxyFor, sameProxy, type Environment, type Proxy } from './proxy.ts';
import type { ServerAddress } from './server-address.ts';

/** Everything needed to open a connection and to be known at the other end. PEM texts, no files. */
export interface Connection {
  readonly server: ServerAddress;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly token: string | undefined;
  readonly isInsecure: boolean;
  /** Name for SNI and verification when it is not the server's host. */
  readonly tlsServerName: string | undefined;
  /**
   * Connect to this machine when the server's name does not resolve; verification keeps the name.
   * For host `kubernetes`, which a static Pod knows only by a host alias that some kubelets do not write.
   */
  readonly fallsBackToLoopback: boolean;
  /** The way to the server that its kubeconfig names; undefined: as the environment has it. */
  readonly proxy: Proxy | undefined;
}

/**
 * The proxy that leads to the server: the one of its kubeconfig, whatever NO_PROXY says (as client-go has it), else
 * that of the environment. None leads to `kubernetes`, which is this machine and which nobody else knows by that name.
 *
 * @throws ProxyError when that of the environment cannot be used.
 */
export function proxyOf(connection: Connection, environment: Environment): Proxy | undefined {
  if (connection.fallsBackToLoopback) return undefined;
  return connection.proxy ?? proxyFor(connection.server, environment);
}

/** A connection to a server without credentials: what tests and the embedded API server need. */
export function plainConnection(server: ServerAddress): Connection {
  return {
    server,
    ca: undefined,
    cert: undefined,
    key: undefined,
    token: undefined,
    isInsecure: false,
    tlsServerName: undefined,
    fallsBackToLoopback: false,
    proxy: undefined,
  };
}

/** Can calls with `b` use a session that was opened for `a`? The token travels with each call. */
export function sameTransport(a: Connection, b: Connection): boolean {
  return (
    a.server.scheme === b.server.scheme &&
    a.server.host === b.server.host &&
    a.server.port === b.server.port &&
    a.server.basePath === b.server.basePath &&
    a.ca === b.ca &&
    a.cert === b.cert &&
    a.key === b.key &&
    a.isInsecure === b.isInsecure &&
    a.tlsServerName === b.tlsServerName &&
    a.fallsBackToLoopback === b.fallsBackToLoopback &&
    sameProxy(a.proxy, b.proxy)
  );
}

export function sameConnection(a: Connection, b: Connection): boolean {
  return sameTransport(a, b) && a.token === b.token;
}
