export { ensurePrivilege, isPrivileged, privilege } from './privilege.ts';
export type { Privilege } from './privilege.ts';
export { Lab } from './lab.ts';
export type { LabOptions } from './lab.ts';
export { Machine } from './machine.ts';
export { LabProcess } from './process.ts';
export type { Exit } from './process.ts';
export type { Plan, Role, Seat } from './plan.ts';
export { labsFolder, sweep } from './registry.ts';
export { CommandError, run, tryRun } from './exec.ts';
export { findProgram } from './find-program.ts';
export { listNamespaces } from './netns.ts';
export { oneWithin } from './attempts.ts';
export { SlowFile } from './slow-file.ts';
export { waitFor } from './wait.ts';
export type { WaitOptions } from './wait.ts';
export { Prober, startResponder } from './prober/prober.ts';
export type { Live, ProbeReport } from './prober/probe.ts';
export type { Answers, Gap, Interval } from './prober/gaps.ts';
export { HolderWatch } from './holders.ts';
export type { HolderReport, HolderSegment } from './holders.ts';
export { Capture, captureRefusal } from './capture.ts';
export { Monitor } from './monitor.ts';
export type { ArpFrame, Frame, NeighbourFrame } from './pcap.ts';
export {
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  findComponent,
  nameServers,
  networkTools,
  peerTools,
  requireComponent,
  routers,
  whyMissing,
} from './components.ts';
export type { Component } from './components.ts';
export { Cluster, leasePath } from './cluster.ts';
export type { ClusterOptions, DaemonDefaults, LeaseTimes } from './cluster.ts';
export { Daemon } from './daemon.ts';
export type { DaemonOptions } from './daemon.ts';
export { Dnsmasq } from './dnsmasq.ts';
export type { ApiBackend, ApiUser } from './api-backend.ts';
export { ApiClient, ApiError } from './api-client.ts';
export { apiServerEnvironment, RealApi, kubeVipUser } from './real-api.ts';
export { Supervised } from './supervised.ts';
export { startKeepalived } from './keepalived.ts';
export { httpGet } from './http-get.ts';
export { DataPath } from './datapath/data-path.ts';
export type { PodWish } from './datapath/data-path.ts';
export { PodRunner } from './datapath/pod-runner.ts';
export { Requests } from './datapath/requests.ts';
export type { LoadReport } from './datapath/request-load.ts';
export { Bird, kernelNextHops } from './routers/bird.ts';
export { Frr, whyNoFrr } from './routers/frr.ts';
export { BFD_MULTIPLIER, type Neighbor, type RouterOptions } from './routers/types.ts';
