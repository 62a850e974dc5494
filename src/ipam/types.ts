import type { KubeObject } from '../kube/types.ts';
import type { Family, Ip } from '../lib/ip.ts';
import type { ServicePort } from './claims.ts';

/** `namespace/name` of a Service. */
export type ServiceKey = string;

export const annotation = {
  addresses: 'kube-vip.io/loadbalancerIPs',
  ignore: 'kube-vip.io/ignore',
  interface: 'kube-vip.io/serviceInterface',
} as const;

/** The cloud provider's sign on a Service whose address counts as in use. */
export const implementationLabel = { key: 'implementation', value: 'kube-vip' } as const;
/** What an old version of it wrote. */
export const legacyLabel = 'ipam-address';
/** Keeps a deleted Service until its controller has seen that. */
export const finalizer = 'service.kubernetes.io/load-balancer-cleanup';

export interface IpamOptions {
  /** Services of this class are ours; undefined: none that have a class. */
  readonly className: string | undefined;
  /** Services without a class are ours. */
  readonly withoutClass: boolean;
  /** Put the finalizer on Services. It is taken off ours in any case. */
  readonly addFinalizer: boolean;
  /** Control-plane VIPs, which no Service may have. */
  readonly reserved: readonly Ip[];
  /** Where the pools are, for messages. */
  readonly configMap: { readonly namespace: string; readonly name: string };
}

/** What assignment reads of a Service. */
export interface Candidate extends KubeObject {
  readonly key: ServiceKey;
  /** Ours to give an address to, by type, class and annotation. */
  readonly isOurs: boolean;
  readonly isLoadBalancer: boolean;
  /** Of a class that another controller is for. */
  readonly isOfOthers: boolean;
  readonly isDeleting: boolean;
  readonly isLabelled: boolean;
  readonly hasFinalizer: boolean;
  /** The annotation as written; empty when there is none. */
  readonly asked: string;
  /** `spec.loadBalancerIP` as written. */
  readonly askedInSpec: string;
  readonly interfaceName: string;
  readonly inStatus: readonly Ip[];
  readonly families: readonly Family[];
  readonly policy: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack';
  readonly ports: readonly ServicePort[];
  /** The whole object, while there may be something to write into it. */
  readonly raw: KubeObject | undefined;
}

/** What one update makes of a Service. */
export interface Change {
  readonly label: 'set' | 'remove' | 'keep';
  readonly finalizer: 'add' | 'remove' | 'keep';
  /** New value of the annotation; undefined: stays as it is. */
  readonly annotation?: string;
  readonly loadBalancerIP?: string;
  readonly interfaceName?: string;
  readonly dropLegacyLabel?: boolean;
}

/** Why a Service has no address from here: closed list, the same words in logs, metrics and tests. */
export type RefusalReason =
  | 'no-pool'
  | 'empty-pool'
  | 'bad-pool'
  | 'family-missing'
  | 'both-families-needed'
  | 'exhausted'
  | 'in-use'
  | 'malformed'
  // Told, but no refusals: what people choose by hand is theirs.
  | 'outside-pools'
  | 'spec-differs';

export interface Notice {
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

/** What the assigner tells about itself, for metrics, Events and logs. Must not throw. */
export interface IpamObserver {
  notice?(service: Candidate, notice: Notice): void;
  /** Of the ConfigMap. */
  poolProblem?(notice: Notice): void;
  assigned?(key: ServiceKey): void;
  refused?(reason: RefusalReason): void;
  /** An update that failed; `kind` of the API error. */
  writeFailed?(kind: string): void;
}

/** One key of the ConfigMap, one family. */
export interface PoolUsage {
  readonly pool: string;
  readonly family: Family;
  /** Addresses that can be given out. */
  readonly size: number;
  /** Of those, the ones somebody has. */
  readonly used: number;
}

export interface AssignmentStatus {
  readonly pools: readonly PoolUsage[];
  /** Keys of the ConfigMap that cannot be used, and why. */
  readonly problems: readonly string[];
  /** Services whose address waits for something to change. */
  readonly waiting: number;
  /** Updates under way or to be tried again. */
  readonly writing: number;
  /** Why nothing is decided yet; undefined when all is known. */
  readonly waitingFor: string | undefined;
}
