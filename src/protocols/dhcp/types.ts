import type { Ip, Mac } from '../../lib/ip.ts';

/** Option 53, RFC 2132 9.6. */
export type DhcpMessageType =
  'discover' | 'offer' | 'request' | 'decline' | 'ack' | 'nak' | 'release' | 'inform';

/** A DHCP message (RFC 2131 2), as far as a client that wants nothing but an address needs it. */
export interface DhcpMessage {
  /** `request`: to a server; `reply`: to a client. */
  readonly op: 'request' | 'reply';
  readonly type: DhcpMessageType;
  readonly xid: number;
  /** Seconds since the client began. */
  readonly secs: number;
  /** The address that the client has; 0.0.0.0 for none. */
  readonly ciaddr: Ip;
  /** The address that the server gives. */
  readonly yiaddr: Ip;
  readonly chaddr: Mac;
  readonly requestedIp?: Ip;
  readonly serverId?: Ip;
  /** 0xffffffff is forever. */
  readonly leaseSeconds?: number;
  /** T1 and T2, from the beginning of the lease. */
  readonly renewSeconds?: number;
  readonly rebindSeconds?: number;
  readonly hostName?: string;
  readonly clientId?: Uint8Array;
  readonly maxMessageBytes?: number;
}

/** A message in its packet. */
export interface DhcpPacket {
  /** Hardware addresses of the frame. */
  readonly fromMac: Mac;
  readonly from: Ip;
  readonly to: Ip;
  readonly message: DhcpMessage;
}
