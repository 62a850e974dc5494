import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { KubeError } from './errors.ts';

/** Says each kind of trouble once, with what happens next, and once that it is over. */
export class TroubleLog {
  private readonly components: { readonly clock: Clock; readonly log: Logger };
  private readonly resource: string;
  private since: number | undefined;
  private said = new Set<string>();
  private failures = 0;

  constructor(components: { readonly clock: Clock; readonly log: Logger }, resource: string) {
    this.components = components;
    this.resource = resource;
  }

  failed(error: KubeError, reason: string, waitMs: number): void {
    this.failures++;
    this.since ??= this.components.clock.now();
    const kind = `${error.kind} ${error.status ?? ''}`;
    if (this.said.has(kind)) return;
    this.said.add(kind);
    const message = `cannot follow ${this.resource}, retrying in ${formatWait(waitMs)}`;
    const fields = { resource: this.resource, reason, error: error.message };
    // A version that is too old is how a long pause ends, not a fault.
    if (error.kind === 'gone') this.components.log.debug(message, fields);
    else this.components.log.warn(message, fields);
  }

  recovered(): void {
    if (this.since === undefined) return;
    const after = formatWait(this.components.clock.now() - this.since);
    if ([...this.said].some((kind) => !kind.startsWith('gone'))) {
      this.components.log.info(`following ${this.resource} again`, {
        resource: this.resource,
        after,
        failures: this.failures,
      });
    }
    this.since = undefined;
    this.said.clear();
    this.failures = 0;
  }
}

function formatWait(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
}
