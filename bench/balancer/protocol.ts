import type { ForwardingSpec } from '../../src/node/index.ts';
import type { Summary } from './figures.ts';

export type VirtualServer = Extract<ForwardingSpec, { readonly kind: 'virtual-server' }>;

/** What the benchmark tells the forwarding it has put on a machine, one line of JSON each. */
export type ForwarderRequest =
  | { readonly do: 'set'; readonly specs: readonly ForwardingSpec[] }
  | { readonly do: 'change'; readonly servers: readonly VirtualServer[]; readonly times: number };

export type ForwarderReply =
  { readonly done: true; readonly times?: ChangeTimes } | { readonly done: false; readonly because: string };

/** What a change of the rules takes; milliseconds. */
export interface ChangeTimes {
  /** Most batches that one change needed. */
  readonly batches: number;
  /** To encode the batch, send it and hear that the kernel has done it. */
  readonly batchMs: Summary;
  /** From the new specs to rules that are in force: plan and batch. */
  readonly reconcileMs: Summary;
}

/** What the clients saw while a back-end was taken away. */
export interface LoadReport {
  /** One connection for each request. */
  readonly fresh: LoadFigures;
  /** Many requests on one connection. */
  readonly kept: LoadFigures;
}

export interface LoadFigures {
  readonly requests: number;
  readonly failed: number;
  /** The longest time from a request to its answer or its failure. */
  readonly longestMs: number;
}
