/*
 * RFC 4271: messages and the session, from the side that connects; received routes are not looked at, so the
 * decision process, and with it most of 6.3 and 9, is not done. RFC 4760: IPv4 and IPv6 unicast. RFC 5492 and
 * 9072: capabilities. RFC 6793: AS numbers of four octets. RFC 2918: the peer may ask for all routes again.
 * RFC 6286, 6608, 4486: router ids, state machine subcodes, Cease subcodes. Not done: RFC 4724 (graceful
 * restart), 7911 (several paths), 8654 (long messages), 8950 (IPv4 routes with an IPv6 next hop).
 */
export { BgpDecodeError } from './errors.ts';
export { decodeMessage, encodeMessage, MessageFramer } from './codec.ts';
export {
  stepSession,
  stoppedSession,
  type SessionEffect,
  type SessionEvent,
  type SessionReason,
  type SessionState,
  type SessionTimer,
} from './machine.ts';
export type { Negotiated, SessionConfig } from './open.ts';
export { advertiseRoutes, withdrawRoutes, type RouteContext } from './routes.ts';
export type { BgpMessage, Update } from './types.ts';
