/** Who may hold a VIP: see `types.ts` for what operators use. */
export type { Election, ElectionListener, ElectionStatus, LossReason } from './types.ts';
export { createElection } from './driver.ts';
export type { ElectionComponents } from './driver.ts';
export type { ElectionObserver, ElectionStep } from './observer.ts';
export { createElectionPool } from './pool.ts';
export type { ElectionPool } from './pool.ts';
export { createKubeLeaseStore } from './kube-store.ts';
export type { KubeLeaseComponents, KubeLeaseOptions, WatchLease } from './kube-store.ts';
export { watchLeaseWith } from './kube-watch.ts';
export { leaseLocation } from './location.ts';
export type { LeaseLocation, LeaseLocationInput } from './location.ts';
export { checkTimings } from './timings.ts';
export type { Timings } from './timings.ts';
export { StoreError } from './store.ts';
export type { LeaseChange, LeaseRecord, LeaseStore, StoredLease, StoreErrorKind } from './store.ts';
export type { MachineSettings } from './machine/types.ts';
export { createElectionRecorder, replay } from './recorder.ts';
export type { ElectionRecorder, RecordedStep, Recording, Replay } from './recorder.ts';
