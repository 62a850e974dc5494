import type { KubeObject } from '../kube/types.ts';

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly loadBalancerClass?: string;
    readonly loadBalancerIP?: string;
    readonly loadBalancerSourceRanges?: readonly string[];
    readonly externalTrafficPolicy?: string;
    readonly ipFamilies?: readonly string[];
    readonly ipFamilyPolicy?: string;
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
  };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly {
        readonly ip?: string;
        readonly hostname?: string;
        readonly ports?: readonly { readonly port: number; readonly protocol: string }[];
      }[];
    };
  };
}

export interface EndpointSlice extends KubeObject {
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

/** Service annotations read here; see docs/parity.md for the lines that name them. */
export const annotation = {
  addresses: 'kube-vip.io/loadbalancerIPs',
  ignore: 'kube-vip.io/ignore',
  interface: 'kube-vip.io/serviceInterface',
  leaseName: 'kube-vip.io/leaseName',
  forceElection: 'kube-vip.io/forcePerServiceElection',
  withoutEndpoints: 'kube-vip.io/allow-reconcile-without-endpoints',
  vipHost: 'kube-vip.io/vipHost',
} as const;

/** Why a Service is not put on the network by this node: the same words in logs, events, metrics and tests. */
export type WithholdReason =
  | 'not-a-load-balancer'
  | 'ignored'
  | 'class-mismatch'
  | 'no-address'
  | 'lease-policy' // a shared lease with externalTrafficPolicy Local
  | 'no-endpoints'
  | 'no-local-endpoint';

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
  /** Location of the global lease, `namespace/name`. */
  readonly globalLease: string;
}
