export { allocate, checkRequested, type AddressRequest, type Allocation } from './allocate.ts';
export { Claims, type Claim } from './claims.ts';
export { findPool, type Pool, type PoolLookup } from './pools.ts';
export { Assigner, type AssignerParts } from './assigner.ts';
export type { ConfigMapObject } from './config-watch.ts';
export { projectCandidate } from './project.ts';
export type * from './types.ts';
