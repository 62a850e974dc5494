export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'raw';

/** Which requests a fault hits; everything left out matches all. */
export interface FaultMatch {
  readonly verb?: Verb | readonly Verb[];
  /** Prefix of the path, or an expression for path and query. */
  readonly path?: string | RegExp;
}

export type FaultEffect =
  | {
      readonly status: number;
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** Accepted, never answered. */
  | { readonly stall: true }
  /** The connection is closed instead of an answer. */
  | { readonly close: true }
  /** 200 with these bytes instead of an object. */
  | { readonly garbage: string }
  /** Answered, but late. */
  | { readonly delayMs: number }
  /** Watches only: opened, then nothing: neither events nor bookmarks. */
  | { readonly silent: true };

export interface Fault {
  /** Requests it has hit. */
  readonly hits: number;
  clear(): void;
}

interface ArmedFault extends Fault {
  readonly match: FaultMatch;
  readonly effect: FaultEffect;
  left: number;
  hits: number;
}

/** Faults in the order they were armed; a request takes the first that matches. */
export class FaultTable {
  private readonly armed = new Set<ArmedFault>();

  /** @param times requests after which the fault is over; default: until cleared. */
  add(match: FaultMatch, effect: FaultEffect, times = Infinity): Fault {
    const fault: ArmedFault = { match, effect, left: times, hits: 0, clear: () => this.armed.delete(fault) };
    this.armed.add(fault);
    return fault;
  }

  clear(): void {
    this.armed.clear();
  }

  take(verb: Verb, path: string): FaultEffect | undefined {
    for (const fault of this.armed) {
      if (!matches(fault.match, verb, path)) continue;
      fault.hits++;
      if (--fault.left <= 0) this.armed.delete(fault);
      return fault.effect;
    }
    return undefined;
  }
}

function matches(match: FaultMatch, verb: Verb, path: string): boolean {
  const verbs = typeof match.verb === 'string' ? [match.verb] : match.verb;
  if (verbs !== undefined && !verbs.includes(verb)) return false;
  if (match.path === undefined) return true;
  return typeof match.path === 'string' ? path.startsWith(match.path) : match.path.test(path);
}
