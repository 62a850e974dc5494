import type { Ip } from '../../lib/ip.ts';

/** The states of nf_conntrack_proto_tcp that matter here; `other` is on its way up or down. */
export type ConnectionState = 'opening' | 'established' | 'closing' | 'other';

export interface ConnectionEnd {
  readonly address: Ip;
  readonly port: number;
}

/** A TCP connection that the kernel tracks and translates, as its four ends. */
export interface TrackedConnection {
  /** Who opened it, and to which address: the original direction. */
  readonly client: ConnectionEnd;
  readonly service: ConnectionEnd;
  /** Who answers, and to which address: the reply direction. */
  readonly server: ConnectionEnd;
  readonly returnTo: ConnectionEnd;
  readonly state: ConnectionState;
  /** Another one for each connection, though its ends be the same (CTA_ID). */
  readonly id?: number;
}

/** By its ends, and where `id` is there only that one: its client may have opened another from the same port. */
export type ConnectionName = Pick<TrackedConnection, 'client' | 'service' | 'id'>;

export interface Conntrack {
  /**
   * Connections that were opened to these addresses and TCP ports. The kernel goes through its whole table, which
   * takes milliseconds though it be empty, once for each family and port: so ask for all at once.
   */
  connections(services: readonly ConnectionEnd[]): Promise<readonly TrackedConnection[]>;
  /** Forgets them, so that their next packet belongs to no connection; returns how many there still were. */
  remove(connections: readonly ConnectionName[]): number;
  close(): void;
}
