import { addressMutants } from './addresses.ts';
import { balancerMutants } from './balancer.ts';
import { bgpMutants } from './bgp.ts';
import { configurationMutants } from './configuration.ts';
import { electionMutants } from './election.ts';
import { manifestMutants } from './manifests.ts';
import type { Mutant } from './mutant.ts';
import { nameMutants } from './names.ts';
import { observationMutants } from './observation.ts';
import { routingMutants } from './routing.ts';
import { serviceMutants } from './services.ts';
import { vipMutants } from './vip.ts';

/** Every mutant, in the order of the parity lines. */
export const mutants: readonly Mutant[] = [
  ...configurationMutants,
  ...manifestMutants,
  ...electionMutants,
  ...vipMutants,
  ...nameMutants,
  ...balancerMutants,
  ...observationMutants,
  ...serviceMutants,
  ...addressMutants,
  ...routingMutants,
  ...bgpMutants,
];
