export type { AnnounceOptions, AnnounceState, AnnounceStep } from './machine.ts';
export { burstOffsetsMs, isRefreshing, startAnnouncing, stepAnnouncement } from './machine.ts';
