export { FakeKernel, type FakeKernelOptions } from './fake-kernel.ts';
export type { SentFrame } from './packets.ts';
export type { FakeLinkOptions } from './world.ts';
