import type { KubeObject } from '../kube/types.ts';
import { parseIp, type Family, type Ip } from '../lib/ip.ts';
import type { ServicePort } from './claims.ts';
import { annotation, finalizer, implementationLabel, type Candidate, type IpamOptions } from './types.ts';

interface RawService extends KubeObject {
  readonly spec?: {
    readonly type?: unknown;
    readonly loadBalancerClass?: unknown;
    readonly loadBalancerIP?: unknown;
    readonly ipFamilies?: unknown;
    readonly ipFamilyPolicy?: unknown;
    readonly ports?: unknown;
  };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: unknown } };
}

/** Reads a Service; whatever its fields hold, this does not throw, or one object would stop the watch of all. */
export function projectCandidate(object: KubeObject, options: IpamOptions): Candidate {
  const raw = object as RawService;
  const { name = '', namespace = '', uid, resourceVersion, creationTimestamp } = raw.metadata;
  const { labels, annotations, finalizers, deletionTimestamp } = raw.metadata;
  const spec = raw.spec ?? {};
  const isLoadBalancer = spec.type === 'LoadBalancer';
  const isDeleting = deletionTimestamp !== undefined;
  const isOfOthers = isLoadBalancer && !isOurClass(spec.loadBalancerClass, options);
  const isOurs = isLoadBalancer && !isOfOthers && annotations?.[annotation.ignore] !== 'true';
  const isLabelled = labels?.[implementationLabel.key] === implementationLabel.value;
  const hasFinalizer = finalizers?.includes(finalizer) ?? false;
  const asked = text(annotations?.[annotation.addresses]).trim();
  const lacks = asked === '' || !isLabelled || (options.addFinalizer && !hasFinalizer);
  const mayBeWritten = isOurs && !isDeleting ? lacks : hasFinalizer && (isLabelled || isOurs);
  return {
    metadata: {
      name,
      namespace,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    key: `${namespace}/${name}`,
    isOurs,
    isLoadBalancer,
    isOfOthers,
    isDeleting,
    isLabelled,
    hasFinalizer,
    asked,
    askedInSpec: text(spec.loadBalancerIP).trim(),
    interfaceName: text(annotations?.[annotation.interface]),
    inStatus: addressesIn(raw.status?.loadBalancer?.ingress),
    families: array(spec.ipFamilies).flatMap((family): Family[] =>
      family === 'IPv4' ? [4] : family === 'IPv6' ? [6] : [],
    ),
    policy:
      spec.ipFamilyPolicy === 'PreferDualStack' || spec.ipFamilyPolicy === 'RequireDualStack'
        ? spec.ipFamilyPolicy
        : 'SingleStack',
    ports: array(spec.ports).flatMap(portOf),
    raw: mayBeWritten ? object : undefined,
  };
}

function isOurClass(loadBalancerClass: unknown, { className, withoutClass }: IpamOptions): boolean {
  if (loadBalancerClass === undefined || loadBalancerClass === null) return withoutClass;
  return className !== undefined && loadBalancerClass === className;
}

function addressesIn(ingress: unknown): readonly Ip[] {
  return array(ingress).flatMap((entry) => {
    const address = parseIp(text((entry as { readonly ip?: unknown } | null)?.ip));
    return address === undefined ? [] : [address];
  });
}

function portOf(value: unknown): readonly ServicePort[] {
  const { port, protocol } = (value ?? {}) as { readonly port?: unknown; readonly protocol?: unknown };
  if (typeof port !== 'number') return [];
  return [{ port, protocol: typeof protocol === 'string' && protocol !== '' ? protocol : 'TCP' }];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
