export { balancerContract } from './contract.ts';
export type { BalancerAbilities, BalancerSubject, ClientConnection, OpenBalancer, Place } from './subject.ts';
