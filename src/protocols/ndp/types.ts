import type { Ip, Mac } from '../../lib/ip.ts';
import type { LinkHeader } from '../frame/index.ts';

/** Neighbour advertisement, RFC 4861 4.4. */
export interface NeighbourAdvertisement {
  readonly kind: 'advertisement';
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  readonly target: Ip;
  /** The target link-layer address option. */
  readonly targetMac: Mac | undefined;
}

/** Neighbour solicitation, RFC 4861 4.3; from the unspecified address it is duplicate address detection. */
export interface NeighbourSolicitation {
  readonly kind: 'solicitation';
  readonly target: Ip;
  /** The source link-layer address option. */
  readonly sourceMac: Mac | undefined;
}

export type NeighbourMessage = NeighbourAdvertisement | NeighbourSolicitation;

export interface NdpFrame {
  readonly header: LinkHeader;
  readonly source: Ip;
  readonly destination: Ip;
  readonly message: NeighbourMessage;
}
