export { createSpeaker, type Speaker } from './advertisement/index.ts';
export {
  chooseBackend,
  createForwarding,
  findFacts,
  portConflict,
  removeForwarding,
  type Forwarding,
  type ForwardingSpec,
  type ForwardingStatus,
} from './forwarding/index.ts';
export { TABLE as BALANCER_TABLE } from './forwarding/nftables/translation.ts';
export { TABLE as ROLE_TABLE } from './forwarding/real-server-role.ts';
export { createNode, type Node, type NodeComponents, type NodeOptions } from './store.ts';
export { OWNER_PROTOCOL, servicesMarks } from './mark.ts';
export { removeStrayRoutes } from './route/strays.ts';
export { removeGuards } from './security/guards.ts';
export type * from './types.ts';
