import type { Ip } from '../lib/ip.ts';
import type { Scope } from '../linux/types.ts';

export interface PlaneVip {
  readonly vip: Ip;
  readonly prefixLength: number;
  /** It comes from a name: the kernel keeps it no longer than the name is followed. */
  readonly isNamed?: boolean;
}

/** The API servers' VIPs and how they are put on this node. Settings are named in docs/reference/configuration.md. */
export interface ControlPlaneOptions {
  readonly vips: readonly PlaneVip[];
  readonly link: string;
  readonly scope: Scope;
  readonly noDad: boolean;
  /** How the network learns where the VIPs are: on the link, or from BGP. */
  readonly reach: 'layer2' | 'bgp';
  /** `vip_arpRate`, milliseconds. */
  readonly announcePeriodMs: number;
  /** `vip_preserve_on_leadership_loss`: IPv4 VIPs stay, silent, until another holder is seen. */
  readonly preserve: boolean;
  /** `vip_expire_with_lease`: the kernel takes the VIPs off when the tenure ends, whatever becomes of this process. */
  readonly expire: boolean;
  /** A tenure that is not renewed does not last longer. */
  readonly leaseDurationMs: number;
  /** How long a stopping node with `preserve` waits for another holder before it removes the VIP anyway. */
  readonly preserveStopBudgetMs: number;
  /** A VIP left by a crashed predecessor goes after this long when the lease cannot be read. */
  readonly leftoverGraceMs: number;
}

/** What the operator tells about itself, for metrics, labels and the exit-on-loss setting. */
export interface ControlPlaneObserver {
  holding?(held: boolean): void;
  holder?(name: string): void;
  /** A tenure ended for this reason. */
  lost?(reason: string): void;
}
