export { runManager } from './run.ts';
