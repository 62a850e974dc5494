import type { Family, Ip, Prefix } from '../../lib/ip.ts';
import type { BfdStateName, SessionState } from '../../protocols/index.ts';

/** One BGP peer, and how it is reached. */
export interface PeerConfig {
  readonly address: Ip;
  readonly port: number;
  /** 0: whoever answers. */
  readonly as: number;
  /** RFC 2385; empty for none. */
  readonly password: string;
  /** Hop limit of our packets; undefined: the system's own. */
  readonly ttl: number | undefined;
  readonly localAddress: Ip | undefined;
  /** Link the session is bound to. */
  readonly device: string | undefined;
  readonly families: readonly Family[];
  /** Next hops that are not simply our end of the session. */
  readonly nextHops: { readonly ipv4?: Ip; readonly ipv6?: Ip };
  /** The path is watched by BFD, and its loss ends the session. */
  readonly bfd?: BfdOptions;
}

/** How a path is watched (RFC 5880). */
export interface BfdOptions {
  /** The peer may be several hops away (RFC 5883); else only a neighbour on the link is heard (RFC 5881). */
  readonly isMultihop: boolean;
  /** Milliseconds between packets that we want to take at least, and to send. */
  readonly rxMs: number;
  readonly txMs: number;
  /** So many packets missing are a lost path; 1 to 255. */
  readonly multiplier: number;
}

export interface SpeakerOptions {
  readonly localAs: number;
  readonly routerId: Ip;
  /** Seconds, as are the next two. */
  readonly holdTime: number;
  readonly keepaliveInterval: number;
  readonly connectRetry: number;
  /** This node's name. */
  readonly host: string;
  readonly peers: readonly PeerConfig[];
}

/** What should be advertised now; every session compares it with what it has sent. */
export interface RoutesView {
  all(): readonly Prefix[];
  wants(prefix: Prefix): boolean;
}

export interface PeerStatus {
  readonly address: Ip;
  readonly port: number;
  /** The configured one, or the one that answered. */
  readonly as: number;
  readonly state: SessionState['kind'];
  /** Monotonic milliseconds since which it is in this state. */
  readonly since: number;
  /** Of the last change: a SessionReason, with details where there are any. */
  readonly reason: string;
  /** Of the peer's OPEN; undefined unless established. */
  readonly routerId: Ip | undefined;
  /** Seconds agreed on; undefined unless established. */
  readonly holdTime: number | undefined;
  /** Of its BFD session; undefined where there is none. */
  readonly bfd: BfdStateName | undefined;
  /** How often it was established. */
  readonly sessions: number;
  /** What the peer has been sent and not been told to forget. */
  readonly advertised: readonly { readonly prefix: Prefix; readonly nextHop: Ip }[];
}
