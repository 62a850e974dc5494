export type * from './types.ts';
export { createBackendProber } from './backend-probe.ts';
export { withPresence } from './presence.ts';
export { Http2KubeClient } from './client.ts';
export type { ClientComponents, ClientOptions, ClientStatus } from './client.ts';
export type { Connection } from './connection.ts';
export { plainConnection, proxyOf } from './connection.ts';
export { CachedCredentials, fixedCredentials, readKubeconfig } from './credentials.ts';
export type { Credentials } from './credentials.ts';
export { KubeError } from './errors.ts';
export { FallbackCredentials } from './fallback-credentials.ts';
export { EventRecorder } from './event-recorder.ts';
export type {
  EventRecorderOptions,
  EventRecorderStatus,
  EventSubject,
  EventToRecord,
} from './event-recorder.ts';
export { createHealthProbe } from './health-probe.ts';
export { readPodNamespace } from './in-cluster.ts';
export type { InClusterEnvironment } from './in-cluster.ts';
export { KubeconfigError, parseKubeconfig } from './kubeconfig.ts';
export type { Kubeconfig } from './kubeconfig.ts';
export { openKubeClient } from './open-client.ts';
export type { OpenComponents, OpenInputs } from './open-client.ts';
export type { ChooseProxy } from './pool.ts';
export { createReflector, nameSelector } from './reflector.ts';
export type { ReflectorComponents, ReflectorOptions } from './reflector.ts';
export * from './resources.ts';
export { candidateFiles, selectClient } from './select-client.ts';
export type { ClientChoice, ClientInputs, ServerRule } from './select-client.ts';
export { formatServer, parseServer } from './server-address.ts';
export type { ServerAddress } from './server-address.ts';
