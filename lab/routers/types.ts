/** So many, because a busy machine holds up programs for some hundred milliseconds, which is no lost path. */
export const BFD_MULTIPLIER = 15;

/** A node as the router knows it. */
export interface Neighbor {
  readonly address: string;
  readonly as: number;
  /** Of the router, where the address is link-local. */
  readonly link?: string;
  readonly password?: string;
  /** It may be more than one hop away. */
  readonly multihop?: boolean;
  /** The path is watched by BFD: a packet each 100 ms, BFD_MULTIPLIER missing are a lost path. */
  readonly bfd?: boolean;
  /** Default: the family of its address. */
  readonly families?: readonly (4 | 6)[];
}

export interface RouterOptions {
  /** The router's own AS. */
  readonly as: number;
  readonly neighbors: readonly Neighbor[];
  /** Seconds; default 90, so that a route which goes soon was withdrawn, and a machine that stands still loses no session. */
  readonly holdTime?: number;
  /** Default 179. */
  readonly port?: number;
}

/** What the router has about one prefix. */
export interface RouterPath {
  readonly nextHop: string;
}
