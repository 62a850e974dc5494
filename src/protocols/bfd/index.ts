/*
 * RFC 5880: Control packets and the session in asynchronous mode, as the active side. RFC 5881 and 5883 (one hop,
 * several hops) say how they are carried, which is up to the socket. A neighbour may ask for demand mode. Not done:
 * the echo function, authentication.
 */
export { decodeBfd, encodeBfd } from './codec.ts';
export {
  stepBfd,
  stoppedBfd,
  type BfdConfig,
  type BfdEffect,
  type BfdEvent,
  type BfdState,
  type BfdTimer,
} from './machine.ts';
export type { BfdStateName } from './types.ts';
