export { runCloudController, type CloudControllerOptions } from './cloud-controller.ts';
export { runManager } from './run.ts';
