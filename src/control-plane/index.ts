export { EveryNode } from './bgp.ts';
export { readBgpAnnotations, type BgpAnnotations } from './bgp-annotations.ts';
export { planSpeaker } from './bgp-peers.ts';
export { Balancer, type BackendStatus, type BalancerOptions } from './balancer/balancer.ts';
export { CONTROL_PLANE_LABEL, discover } from './balancer/discovery.ts';
export { OwnServer } from './balancer/own-server.ts';
export { DhcpClient } from './dhcp-client.ts';
export { runHealthGate, type HealthGateListener, type Probe } from './health-gate.ts';
export { isOperational, watchLinkGate } from './link-gate.ts';
export { NamedVips } from './named-vips.ts';
export {
  isServiceLabel,
  labelValue,
  NodeLabel,
  NodeLabels,
  serviceLabel,
  serviceLabelValue,
} from './node-label.ts';
export { ControlPlane } from './operator.ts';
export { RoutingTable } from './routing-table.ts';
export { checkTargets, selfTargets, type SelfCheck } from './self-check.ts';
export { StandAside } from './stand-aside.ts';
export type { ControlPlaneObserver, ControlPlaneOptions, PlaneVip } from './types.ts';
