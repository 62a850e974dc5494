export { buildKernel, findBuiltKernel } from './build.ts';
export { findKernel, runInKernel, type GuestOptions, type GuestResult, type TestKernel } from './guest.ts';
