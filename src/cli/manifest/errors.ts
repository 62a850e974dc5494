import { KubeVipError } from '../../lib/errors.ts';

/** A manifest that cannot be written from these flags. */
export class GeneratorError extends KubeVipError {
  readonly code = 'GENERATOR';
}
