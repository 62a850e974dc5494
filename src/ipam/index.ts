export {
  allocate,
  checkRequested,
  Claims,
  type AddressRequest,
  type Allocation,
  type Claim,
} from './allocate.ts';
export { findPool, type Pool, type PoolLookup } from './pools.ts';
