/** Seeing what the process does: log, metrics, status, health, state dump. */
export { boundedWriter } from './bounded-writer.ts';
export { collectStatus } from './collect.ts';
export { renderDump } from './dump.ts';
export { gather } from './gather.ts';
export { statusJson } from './status-json.ts';
export type { DumpSnapshot } from './dump.ts';
export { openHealthListener, openStatusListener } from './http.ts';
export { farewell, parseListenAddress, type HttpListener } from './http-listener.ts';
export { LogLines } from './log-lines.ts';
export { createLogger } from './log.ts';
export type { RootLogger } from './log.ts';
export { createMetrics } from './metrics.ts';
export type { Metrics } from './metrics.ts';
export { createLeaseNews, createNodeNews } from './news.ts';
export type { LeaseNews, NodeNews } from './news.ts';
export { watchProcess } from './process-metrics.ts';
export type { ProcessWatch } from './process-metrics.ts';
export type {
  BalancerStatus,
  Claimant,
  IpamStatus,
  LeaseStatus,
  StatusDocument,
  TimerStatus,
  VipStatus,
  WatchStatus,
} from './status.ts';
export { lazily } from './status.ts';
