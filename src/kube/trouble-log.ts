import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { KubeError } from './errors.ts';

/** What was said so often in this time is not said again, as long as it passes soon: a watch may break ten times a second. */
const WINDOW_MS = 60_000;
const MAX_SAID = 3;
const LASTING_MS = 5000;
const MAX_KINDS = 32;

/** Says each kind of trouble once, with what happens next, and once that it is over; what comes and goes, three times a minute. */
export class TroubleLog {
  private readonly components: { readonly clock: Clock; readonly log: Logger };
  private readonly resource: string;
  private since: number | undefined;
  /** In this trouble. */
  private said = new Set<string>();
  /** How often since when, whether in this trouble or an earlier one. */
  private readonly lately = new Map<string, { readonly since: number; times: number }>();
  private failures = 0;
  /** Troubles that came and went unsaid since something was said. */
  private unsaid = 0;

  constructor(components: { readonly clock: Clock; readonly log: Logger }, resource: string) {
    this.components = components;
    this.resource = resource;
  }

  failed(error: KubeError, reason: string, waitMs: number): void {
    const now = this.components.clock.now();
    this.failures++;
    this.since ??= now;
    const kind = `${error.kind} ${error.status ?? ''}`;
    const isOften = this.timesLately(kind) >= MAX_SAID && now - this.since < LASTING_MS;
    if (this.said.has(kind) || isOften) return;
    this.said.add(kind);
    this.count(kind);
    const message = `cannot follow ${this.resource}, retrying in ${formatWait(waitMs)}`;
    const unsaid = this.unsaid === 0 ? undefined : this.unsaid;
    const fields = { resource: this.resource, reason, error: error.message, unsaid };
    this.unsaid = 0;
    // A version that is too old is how a long pause ends, not a fault.
    if (error.kind === 'gone') this.components.log.debug(message, fields);
    else this.components.log.warn(message, fields);
  }

  private timesLately(kind: string): number {
    const lately = this.lately.get(kind);
    const isOver = lately === undefined || this.components.clock.now() - lately.since >= WINDOW_MS;
    return isOver ? 0 : lately.times;
  }

  private count(kind: string): void {
    const times = this.timesLately(kind) + 1;
    const known = this.lately.get(kind);
    if (times > 1 && known !== undefined) {
      known.times = times;
      return;
    }
    if (this.lately.size >= MAX_KINDS) this.lately.clear();
    this.lately.set(kind, { since: this.components.clock.now(), times });
  }

  recovered(): void {
    if (this.since === undefined) return;
    const after = formatWait(this.components.clock.now() - this.since);
    if (this.said.size === 0) this.unsaid++;
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
