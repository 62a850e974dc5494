import type { Family, Ip, Prefix } from '../../lib/ip.ts';

/** RFC 5492 capabilities; what this program does not know is kept as it came. */
export type Capability =
  /** RFC 4760 8. */
  | { readonly kind: 'multiprotocol'; readonly afi: number; readonly safi: number }
  /** RFC 2918. */
  | { readonly kind: 'route-refresh' }
  /** RFC 6793 3. */
  | { readonly kind: 'four-octet-as'; readonly as: number }
  /** draft-walton-bgp-hostname-capability: shown by routers beside the address. */
  | { readonly kind: 'fqdn'; readonly host: string; readonly domain: string }
  | { readonly kind: 'unknown'; readonly code: number; readonly value: Uint8Array };

/** RFC 4271 4.2. */
export interface OpenMessage {
  readonly type: 'open';
  readonly version: number;
  /** The two-octet field: AS_TRANS when the AS does not fit. */
  readonly as: number;
  /** Seconds. */
  readonly holdTime: number;
  readonly routerId: Ip;
  readonly capabilities: readonly Capability[];
}

/** RFC 4271 4.5: what the two sides say before they part. */
export interface Notification {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export type BgpMessage =
  | OpenMessage
  /** Its content is decoded apart: how wide AS numbers are is known to the session only. */
  | { readonly type: 'update'; readonly body: Uint8Array }
  | { readonly type: 'keepalive' }
  | ({ readonly type: 'notification' } & Notification)
  /** RFC 2918: all routes of this family once more, please. */
  | { readonly type: 'route-refresh'; readonly afi: number; readonly safi: number };

export interface AsPathSegment {
  readonly kind: 'set' | 'sequence';
  readonly ases: readonly number[];
}

export type PathAttribute =
  | { readonly kind: 'origin'; readonly origin: 'igp' | 'egp' | 'incomplete' }
  | { readonly kind: 'as-path'; readonly segments: readonly AsPathSegment[] }
  | { readonly kind: 'next-hop'; readonly nextHop: Ip }
  | { readonly kind: 'local-pref'; readonly preference: number }
  /** RFC 4760 3, unicast; a second next hop is the link-local one (RFC 2545). */
  | {
      readonly kind: 'mp-reach';
      readonly family: Family;
      readonly nextHops: readonly Ip[];
      readonly nlri: readonly Prefix[];
    }
  /** RFC 4760 4, unicast. */
  | { readonly kind: 'mp-unreach'; readonly family: Family; readonly withdrawn: readonly Prefix[] }
  | {
      readonly kind: 'unknown';
      readonly flags: number;
      readonly code: number;
      readonly value: Uint8Array;
    };

/** RFC 4271 4.3: IPv4 routes in its own fields, others in attributes. */
export interface Update {
  readonly withdrawn: readonly Prefix[];
  readonly attributes: readonly PathAttribute[];
  readonly nlri: readonly Prefix[];
}
