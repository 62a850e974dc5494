/** RFC 5880 4.1, `Sta`, in the order of their numbers. */
export const bfdStates = ['adminDown', 'down', 'init', 'up'] as const;

export type BfdStateName = (typeof bfdStates)[number];

/** A BFD Control packet without authentication. */
export interface BfdPacket {
  /** Why the sender's session last left Up: a number of RFC 5880 4.1, 0 to 31. */
  readonly diagnostic: number;
  readonly state: BfdStateName;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  /** Packets that may be missing; 1 to 255. */
  readonly detectMultiplier: number;
  readonly myDiscriminator: number;
  /** 0: the sender does not know it (yet). */
  readonly yourDiscriminator: number;
  /** Microseconds, as are the next two; 32 bits. */
  readonly desiredMinTxUs: number;
  /** 0: the sender wants no packets. */
  readonly requiredMinRxUs: number;
  readonly requiredMinEchoRxUs: number;
}
