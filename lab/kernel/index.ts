export { ensureKernel } from './ensure.ts';
export { findKernel, runInKernel, type GuestOptions, type GuestResult, type TestKernel } from './guest.ts';
