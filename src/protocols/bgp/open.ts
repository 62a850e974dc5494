import type { Family, Ip } from '../../lib/ip.ts';
import { AS_TRANS } from './attributes.ts';
import { errorCode } from './errors.ts';
import { AFI_IPV4, AFI_IPV6, SAFI_UNICAST, unicastFamily } from './families.ts';
import type { Capability, Notification, OpenMessage } from './types.ts';

/** What this side says of itself, and whom it expects to hear. */
export interface SessionConfig {
  readonly localAs: number;
  /** 0: whoever answers. */
  readonly peerAs: number;
  readonly routerId: Ip;
  /** Seconds; 0 asks for a session without keepalives. */
  readonly holdTime: number;
  /** Seconds between keepalives; never more than a third of the hold time agreed on. */
  readonly keepaliveInterval: number;
  /** Seconds. */
  readonly connectRetry: number;
  /** What routes this session is for. */
  readonly families: readonly Family[];
  /** This node's name, for the router's own lists. */
  readonly host: string;
}

/** What both sides agreed on when they opened. */
export interface Negotiated {
  readonly peerAs: number;
  readonly peerRouterId: Ip;
  /** Seconds; 0: neither side watches the other. */
  readonly holdTime: number;
  /** Seconds; 0 with a hold time of 0. */
  readonly keepaliveInterval: number;
  /** Width of AS numbers in UPDATEs (RFC 6793). */
  readonly asOctets: 2 | 4;
  readonly families: readonly Family[];
}

const VERSION = 4;

/** Our OPEN: a family that it does not name is not spoken (RFC 4760 8); AS numbers have four octets if the peer agrees (RFC 6793). */
export function openMessage(config: SessionConfig): OpenMessage {
  const capabilities: readonly Capability[] = [
    ...config.families.map((family): Capability => {
      return { kind: 'multiprotocol', afi: family === 4 ? AFI_IPV4 : AFI_IPV6, safi: SAFI_UNICAST };
    }),
    { kind: 'route-refresh' },
    { kind: 'four-octet-as', as: config.localAs },
    { kind: 'fqdn', host: config.host, domain: '' },
  ];
  return {
    type: 'open',
    version: VERSION,
    as: config.localAs > 0xffff ? AS_TRANS : config.localAs,
    holdTime: config.holdTime,
    routerId: config.routerId,
    capabilities,
  };
}

export type OpenVerdict =
  | { readonly accepted: true; readonly negotiated: Negotiated }
  | { readonly accepted: false; readonly notification: Notification; readonly why: string };

/** RFC 4271 6.2: is this the peer that was configured, and can we live with what it proposes? */
export function judgeOpen(open: OpenMessage, config: SessionConfig): OpenVerdict {
  const refuse = (subcode: number, why: string, data: Uint8Array = new Uint8Array()): OpenVerdict => {
    return { accepted: false, notification: { code: errorCode.open, subcode, data }, why };
  };
  if (open.version !== VERSION)
    return refuse(1, `the peer speaks BGP version ${open.version}`, Uint8Array.of(0, VERSION));
  const wide = open.capabilities.find((each) => each.kind === 'four-octet-as');
  const peerAs = wide?.as ?? open.as;
  if (peerAs === 0 || (config.peerAs !== 0 && peerAs !== config.peerAs))
    return refuse(2, `the peer is AS ${peerAs}, not AS ${config.peerAs}`);
  // RFC 6286: unique within an AS, and not zero.
  const isOurs = open.routerId === config.routerId && peerAs === config.localAs;
  if (open.routerId === '0.0.0.0' || isOurs)
    return refuse(3, `the peer's router id is ${open.routerId}${isOurs ? ', as is ours' : ''}`);
  if (open.holdTime === 1 || open.holdTime === 2)
    return refuse(6, `the peer proposes a hold time of ${open.holdTime} s`);
  const holdTime = Math.min(open.holdTime, config.holdTime);
  return {
    accepted: true,
    negotiated: {
      peerAs,
      peerRouterId: open.routerId,
      holdTime,
      // RFC 4271 10: a third of the hold time, and at most one message a second.
      keepaliveInterval: holdTime === 0 ? 0 : Math.max(1, Math.min(config.keepaliveInterval, holdTime / 3)),
      asOctets: wide === undefined ? 2 : 4,
      families: config.families.filter((family) => offered(open).includes(family)),
    },
  };
}

/** RFC 4760 8: who says nothing about it speaks IPv4 unicast. */
function offered(open: OpenMessage): readonly Family[] {
  const multiprotocol = open.capabilities.filter((each) => each.kind === 'multiprotocol');
  if (multiprotocol.length === 0) return [4];
  return multiprotocol.flatMap(({ afi, safi }) => unicastFamily(afi, safi) ?? []);
}
