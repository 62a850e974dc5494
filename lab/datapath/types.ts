// The fields of the API that the lab's kubelet, scheduler and actions read; see the Kubernetes API reference, core/v1.

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
}

export interface HttpGet {
  readonly path?: string;
  /** A number, or the name of one of the container's ports. */
  readonly port: number | string;
}

export interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVariable[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly readinessProbe?: { readonly httpGet?: HttpGet };
  readonly lifecycle?: { readonly preStop?: { readonly sleep?: { readonly seconds: number } } };
}

export interface Pod {
  readonly metadata: Metadata;
  readonly spec: {
    readonly nodeName?: string;
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly containers: readonly Container[];
    readonly volumes?: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
    readonly terminationGracePeriodSeconds?: number;
  };
  readonly status?: Status;
}

export interface NodeObject {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: Status;
}

/** Of a Pod or a Node. */
export interface Status {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

export function isReady(status: Status | undefined): boolean {
  return status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;
}

export interface List<T> {
  readonly items: readonly T[];
}

/** Where a pod of the lab is reached. */
export interface PodAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}
