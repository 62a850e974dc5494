/** Where an election record lives. */
export interface LeaseLocation {
  readonly namespace: string;
  readonly name: string;
  /** To be logged once at start. */
  readonly warning?: string;
}

export interface LeaseLocationInput {
  /** `name`, or `namespace/name`, which wins over everything else. */
  readonly leaseName: string;
  /** Content of the service-account mount's namespace file; undefined outside a Pod with a token. */
  readonly serviceAccountNamespace: string | undefined;
  /** The `cp_namespace` setting. */
  readonly controlPlaneNamespace: string;
}

/** In-cluster Pods ignore `cp_namespace`, as kube-vip does: moving their Lease would split an election. */
export function leaseLocation(input: LeaseLocationInput): LeaseLocation {
  const slash = input.leaseName.indexOf('/');
  if (slash > 0) {
    return { namespace: input.leaseName.slice(0, slash), name: input.leaseName.slice(slash + 1) };
  }
  const name = input.leaseName.slice(slash + 1);
  const mounted = input.serviceAccountNamespace?.trim();
  if (mounted !== undefined && mounted !== '') return { namespace: mounted, name };
  return {
    namespace: input.controlPlaneNamespace,
    name,
    warning: `no service-account namespace is mounted; using namespace ${input.controlPlaneNamespace} (cp_namespace) for lease ${name}`,
  };
}
