export { runCloudController, type CloudControllerOptions } from './cloud-controller.ts';
export { clearAfterRefusal } from './refused.ts';
export { runManager } from './run.ts';
