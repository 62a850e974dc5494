import { KubeVipError } from '../lib/errors.ts';

/** The daemon cannot start: a setting, a right or a part of the machine is missing. Says what and what to do. */
export class StartError extends KubeVipError {
  readonly code = 'START';
}
