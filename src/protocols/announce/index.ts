export type { AnnounceOptions, AnnounceState, AnnounceStep } from './machine.ts';
export { burstOffsetsMs, startAnnouncing, stepAnnouncement } from './machine.ts';
