import type { Ip } from '../lib/ip.ts';
import { sameConnection, type Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { LOCAL_NAME } from './select-client.ts';

/**
 * Credentials whose server moves on when it cannot be reached: from the configured one to the other API
 * servers of the control plane, in turn, and back to the configured one. For a holder whose VIP is
 * balanced: its own API server may die while the VIP goes on serving from the others, so the lease has
 * to be renewed there. Never the VIP itself: reaching it would depend on the election it is needed for.
 */
export class FallbackCredentials implements Credentials {
  private readonly inner: Credentials;
  private readonly port: number;
  private others: readonly Ip[] = [];
  /** 0: the configured server; n: the n-th of the others. */
  private at = 0;

  constructor(inner: Credentials, port: number) {
    this.inner = inner;
    this.port = port;
  }

  /** The API servers of the control plane, as last seen. */
  setOthers(addresses: readonly Ip[]): void {
    this.others = addresses;
    if (this.at > addresses.length) this.at = 0;
  }

  get origin(): string {
    return this.inner.origin;
  }

  get known(): Connection | undefined {
    const known = this.inner.known;
    return known === undefined ? undefined : this.place(known);
  }

  async current(): Promise<Connection> {
    return this.place(await this.inner.current());
  }

  /** Called when the server refused the credentials or could not be reached. */
  async refresh(): Promise<Connection> {
    const before = this.inner.known;
    const fresh = await this.inner.refresh();
    // Unchanged on disk: then it is the server that is in trouble, and the next one is tried.
    if (before !== undefined && sameConnection(before, fresh))
      this.at = (this.at + 1) % (this.others.length + 1);
    return this.place(fresh);
  }

  private place(connection: Connection): Connection {
    const host = this.others[this.at - 1];
    if (host === undefined) return connection;
    // Every API server's certificate names `kubernetes`, whichever node it runs on. They are neighbours of this node: a
    // proxy that leads to the configured server is none that leads to them.
    const server = { ...connection.server, host, port: this.port };
    return {
      ...connection,
      server,
      tlsServerName: LOCAL_NAME,
      fallsBackToLoopback: false,
      proxy: undefined,
    };
  }
}
