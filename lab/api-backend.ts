import type { ApiClient } from './api-client.ts';
import type { Machine } from './machine.ts';

/** `admin` may do everything; `kube-vip` what kube-vip's RBAC manifest grants (the embedded server grants all). */
export type ApiUser = 'admin' | 'kube-vip';

/** The API servers of a lab: real ones, one per node, or the embedded one. */
export interface ApiBackend {
  readonly kind: 'real' | 'embedded';
  /** TCP port, for `Cable.blackholeApi`. */
  readonly port: number;
  /** The administrator. */
  readonly client: ApiClient;
  /** Writes a kubeconfig for a node and returns its path. `server`: another URL than the node's usual one. */
  kubeconfig(node: Machine, user: ApiUser, server?: string): string;
  /** Nobody reaches an API server any more. Stored objects survive. */
  takeAway(): Promise<void>;
  /** Resolves when it answers again. */
  bringBack(): Promise<void>;
  /** After `powerOn`: whatever of the API ran on that node runs again and is ready. */
  restartNode(node: Machine): Promise<void>;
}
