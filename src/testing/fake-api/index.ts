export { FakeApi } from './fake-api.ts';
export type { ApiListener, ListenOptions } from './listener.ts';
export type { Fault, FaultEffect, FaultMatch, Verb } from './faults.ts';
export type { RequestRecord } from './handler.ts';
export { createAuthority } from './certificates.ts';
export type { Authority, KeyPair } from './certificates.ts';
