import type { ForwardingState, VirtualServerSpec } from './types.ts';

/** One way to balance in the kernel. The facade has already refused what the back-end cannot do at all. */
export interface Balancer {
  /** Begins to follow the kernel. Nothing is changed before the first `apply`. */
  start(): Promise<void>;
  /** These and no others; takes effect before it returns when nothing has to be found out first. */
  apply(specs: readonly VirtualServerSpec[]): void;
  /** Compares with the kernel and repairs. */
  check(): Promise<void>;
  stateOf(spec: VirtualServerSpec): { readonly state: ForwardingState; readonly notes: readonly string[] };
  /** Resolves when the clients of virtual servers that have gone have been told. */
  told(): Promise<void>;
  /** Stops following the kernel; what is there stays. */
  stop(): void;
}

export function specKey({ vip, port }: Pick<VirtualServerSpec, 'vip' | 'port'>): string {
  return `${vip} ${port}`;
}
