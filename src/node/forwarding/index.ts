export { chooseBackend, type BalancerFacts, type Choice } from './choose.ts';
export { findFacts } from './facts.ts';
export { createForwarding, type ForwardingComponents, type ForwardingOptions } from './forwarding.ts';
export { removeForwarding } from './leftovers.ts';
export { portConflict } from './port-conflict.ts';
export type { ForwardingKernel } from './ports.ts';
export type * from './types.ts';
