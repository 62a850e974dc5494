export { missingCapabilities, ownMissingCapabilities, type Capability } from './capabilities.ts';
export { systemClock } from './clock.ts';
export { classify, errnoName, errnoOf, isKernelError, KernelError } from './errors.ts';
export { openKernel, type KernelOptions, type OpenKernel } from './kernel.ts';
export { enterNamespace, enterNewNamespace, inNamespace, type Namespace } from './netns.ts';
export { describeAddress, describeRoute, describeRule } from './objects.ts';
export { sysctlLink } from './sysctl.ts';
export type * from './types.ts';
