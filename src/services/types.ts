import type { Ip } from '../lib/ip.ts';
import type { KubeObject } from '../kube/types.ts';

export interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
}

export interface Ingress {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ports?: readonly { readonly port: number; readonly protocol: string }[];
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly loadBalancerClass?: string;
    readonly loadBalancerIP?: string;
    readonly externalTrafficPolicy?: string;
    readonly ipFamilies?: readonly string[];
    readonly ipFamilyPolicy?: string;
    readonly loadBalancerSourceRanges?: readonly string[];
    readonly ports?: readonly ServicePort[];
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly Ingress[] } };
}

export interface EndpointSlice extends KubeObject {
  /** `IPv4`, `IPv6` or `FQDN`; absent where it is not known. */
  readonly addressType?: string;
  readonly endpoints?: readonly Endpoint[];
}

export interface Endpoint {
  readonly addresses?: readonly string[];
  readonly nodeName?: string;
  readonly hostname?: string;
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
}

/** `namespace/name` of a Service. */
export type ServiceKey = string;
/** `namespace/name` of a lease. */
export type LeaseKey = string;

export const annotationPrefix = 'kube-vip.io/';

/** Service annotations read here; see docs/parity.md for the lines that name them. */
export const annotation = {
  addresses: 'kube-vip.io/loadbalancerIPs',
  ignore: 'kube-vip.io/ignore',
  interface: 'kube-vip.io/serviceInterface',
  leaseName: 'kube-vip.io/leaseName',
  forceElection: 'kube-vip.io/forcePerServiceElection',
  withoutEndpoints: 'kube-vip.io/allow-reconcile-without-endpoints',
  ignoreSecurity: 'kube-vip.io/ignore-service-security',
  vipHost: 'kube-vip.io/vipHost',
} as const;

/** Why a Service is not put on the network by this node: the same words in logs, events, metrics and tests. */
export type WithholdReason =
  | 'not-a-load-balancer'
  | 'ignored'
  | 'class-mismatch'
  | 'no-address'
  | 'invalid-address'
  | 'resolving' // its names are being asked for the first time
  | 'unresolved' // none of its names has an address
  | 'lease-policy' // a shared lease with externalTrafficPolicy Local
  | 'invalid-lease' // no Lease can have this name
  | 'not-implemented' // it asks for something without which its VIP would be wrong
  | 'no-endpoints'
  | 'no-local-endpoint'
  | 'settling' // the first local endpoint is new, and another node serves
  | 'leaving' // the last local endpoint is terminating, and another node is ready
  | 'no-link'
  | 'address-in-use'; // the VIP is an address of this machine

export interface ServicesConfig {
  /** `lb_class_legacy_handling` */
  readonly legacyClass: boolean;
  /** `lb_class_only` */
  readonly classOnly: boolean;
  /** `lb_class_name` */
  readonly className: string;
  /** `svc_election` */
  readonly perServiceElection: boolean;
  /** `per_service_election_on_demand` */
  readonly electionOnDemand: boolean;
  /** Location of the global lease. */
  readonly globalLease: LeaseKey;
  /** `dns_mode` */
  readonly dnsMode: 'first' | 'ipv4' | 'ipv6' | 'dual';
}

/** Prefix length for one family, or `auto`: that of the link's own address whose subnet holds the VIP. */
export type PrefixChoice = number | 'auto';

export interface PlacementConfig {
  /** `vip_interface`, or the link of the default route. */
  readonly mainLink: string;
  /** `vip_servicesinterface`; may be empty or `auto`. */
  readonly servicesLink: string;
  readonly prefix4: PrefixChoice;
  readonly prefix6: PrefixChoice;
  /** `vip_interfaceloglobal` */
  readonly globalScopeOnLo: boolean;
  /** `vip_skipdad` */
  readonly noDad: boolean;
  /** Owner mark of the addresses; several instances on one machine have different ones. */
  readonly mark: number;
  /** Addresses that no Service may have, and why. */
  readonly reserved: Pick<ReadonlyMap<Ip, string>, 'get'>;
  /** `vip_arpRate`, milliseconds. */
  readonly announcePeriodMs: number;
  /**
   * How VIPs are made reachable: `layer2` an address that is announced on its link, `route` a route in our
   * kernel table, and no address, `bgp` a route that BGP peers are told of, with an address where `attach` says.
   */
  readonly reach: 'layer2' | 'route' | 'bgp';
  /** `bgp_attach_ip_to_interface` */
  readonly attach: boolean;
  /** `enable_service_security` */
  readonly guarded: boolean;
}

export interface ServicesOptions extends ServicesConfig, PlacementConfig {
  /** Lower-cased name of this node. */
  readonly node: string;
  /** Milliseconds; both bound the hand-over of an address from one lease to another. */
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  /** `vip_preserve_on_leadership_loss` */
  readonly preserve: boolean;
  /** `debounceTime`; 0: every change is acted on at once. */
  readonly debounceMs: number;
  /** A VIP left by a predecessor goes after this long when nothing can be learned about its lease. */
  readonly leftoverGraceMs: number;
  /** `disable_service_updates` turns it off. */
  readonly writeStatus: boolean;
  /** Where Services are not elected for, every node has the global lease, and all of them write the status. */
  readonly everyNode: boolean;
}

/** Something a user must know about one Service; becomes an Event. */
export interface ServiceNotice {
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

/** What the operator tells about itself, for metrics, events and logs. Must not throw. */
export interface ServicesObserver {
  /** A watch event of a Service. */
  event?(type: 'ADDED' | 'MODIFIED' | 'DELETED'): void;
  /** This node began or ceased to advertise the Service. */
  advertising?(key: ServiceKey, now: boolean): void;
  /** The VIPs at which this node advertises it; empty when it does not. Told again when nothing has changed, too. */
  provides?(key: ServiceKey, vips: readonly Ip[]): void;
  notice?(service: Service, notice: ServiceNotice): void;
  /** A reconciliation that took this long, or was refused for this reason. */
  reconciled?(key: ServiceKey, seconds: number, failure: ReconcileFailure | undefined): void;
  gone?(key: ServiceKey): void;
  /** The lease whose holder advertises it; undefined: none, it is withheld. Told again when nothing has changed, too. */
  electing?(key: ServiceKey, lease: LeaseKey | undefined): void;
  campaign?(lease: LeaseKey, change: 'started' | 'ended' | 'acquired' | 'lost', reason?: string): void;
}

export type ReconcileFailure = (typeof reconcileFailures)[number];

/** Reasons of `kube_vip_service_reconcile_errors_total`. */
export const reconcileFailures = [
  'invalid_config',
  'new_instance',
  'service_context', // it could not be handled at all
  'delete_service', // and neither could its end
] as const;
