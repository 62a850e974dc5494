import type { Ip } from '../../lib/ip.ts';
import type { Candidate } from './discovery.ts';

/**
 * Which API servers get connections, decided from two independent facts: the Node says ready, and the
 * probe gets an answer.
 *
 *               rise successes               fall failures, or refused
 *   unproven ──────────────────► healthy ─────────────────────────► failed ──► healthy (rise)
 *       │                           │
 *       └────── Node gone or not ready ──► draining ── drainMs ──► forgotten
 *
 * `failed` is dead at once: its connections are cut so that no client hangs on it. `draining` gets no
 * new connections and keeps the old ones for a while. When the probes of *all* candidates fail the
 * last good set stays in place, that is those that failed together with the last one: a broken probe
 * must not take the API down.
 */
export interface PoolOptions {
  readonly rise: number;
  readonly fall: number;
  readonly drainMs: number;
  /** Servers that failed within this time of each other count as one outage. */
  readonly togetherMs: number;
  /** 0 switches slow start off. */
  readonly slowStartMs: number;
}

export type PoolEvent =
  | { readonly kind: 'candidates'; readonly candidates: readonly Candidate[] }
  | {
      readonly kind: 'probe';
      readonly address: Ip;
      readonly problem: string | undefined;
      /** Nobody listens there: the next clients would be refused like the probe, so one is enough. */
      readonly isRefused?: boolean;
    }
  | { readonly kind: 'tick' };

export interface Member {
  readonly node: string;
  readonly address: Ip;
  readonly phase: 'unproven' | 'healthy' | 'failed' | 'draining';
  /** Successes (unproven, failed) or failures (healthy) in a row. */
  readonly streak: number;
  /** Monotonic milliseconds at which the phase began. */
  readonly since: number;
  readonly lastProblem: string | undefined;
}

export type PoolState = readonly Member[];

export const emptyPool: PoolState = [];

export interface PoolServer {
  readonly address: Ip;
  readonly weight: number;
  readonly state: 'active' | 'draining' | 'dead';
}

/** Weight of a server that has been in rotation for the whole slow-start time; during it, fewer. */
const FULL_WEIGHT = 10;

/** The next state of the pool. Pure; `now` is monotonic milliseconds. */
export function stepPool(members: PoolState, event: PoolEvent, options: PoolOptions, now: number): PoolState {
  switch (event.kind) {
    case 'candidates':
      return withCandidates(members, event.candidates, now);
    case 'probe':
      return members.map((member) =>
        member.address === event.address ? probed(member, event, options, now) : member,
      );
    case 'tick':
      return members.filter(({ phase, since }) => phase !== 'draining' || now - since < options.drainMs);
  }
}

function withCandidates(members: readonly Member[], candidates: readonly Candidate[], now: number): Member[] {
  const wanted = new Map(candidates.map((candidate) => [candidate.address, candidate]));
  const kept = members.flatMap((member): Member[] => {
    const candidate = wanted.get(member.address);
    wanted.delete(member.address);
    if (candidate !== undefined)
      return [member.phase === 'draining' ? fresh(candidate, now) : { ...member, node: candidate.node }];
    if (member.phase === 'healthy') return [{ ...member, phase: 'draining', streak: 0, since: now }];
    return member.phase === 'draining' ? [member] : [];
  });
  return [...kept, ...[...wanted.values()].map((candidate) => fresh(candidate, now))];
}

function fresh({ node, address }: Candidate, now: number): Member {
  return { node, address, phase: 'unproven', streak: 0, since: now, lastProblem: undefined };
}

function probed(
  member: Member,
  { problem, isRefused = false }: Extract<PoolEvent, { kind: 'probe' }>,
  options: PoolOptions,
  now: number,
): Member {
  const good = problem === undefined;
  switch (member.phase) {
    case 'draining':
      return member;
    case 'healthy':
      if (good) return { ...member, streak: 0 };
      return isRefused || member.streak + 1 >= options.fall
        ? { ...member, phase: 'failed', streak: 0, since: now, lastProblem: problem }
        : { ...member, streak: member.streak + 1, lastProblem: problem };
    case 'unproven':
    case 'failed': {
      if (!good) return { ...member, streak: 0, lastProblem: problem };
      // The first proof is enough for a new server; one that failed has to prove itself `rise` times.
      const needed = member.phase === 'unproven' ? 1 : options.rise;
      return member.streak + 1 >= needed
        ? { ...member, phase: 'healthy', streak: 0, since: now, lastProblem: undefined }
        : { ...member, streak: member.streak + 1 };
    }
  }
}

/** What the kernel should know, sorted by address; `keeping` is true when all probes fail. */
export function serversOf(
  members: PoolState,
  options: PoolOptions,
  now: number,
): { readonly servers: readonly PoolServer[]; readonly keeping: boolean } {
  const kept = lastGood(members, options.togetherMs);
  const servers = members.flatMap((member): PoolServer[] => {
    const { address, phase } = member;
    if (kept.includes(member)) return [{ address, weight: fullWeight(options), state: 'active' }];
    if (phase === 'healthy') return [{ address, weight: weightOf(member, options, now), state: 'active' }];
    if (phase === 'draining') return [{ address, weight: 0, state: 'draining' }];
    return phase === 'failed' ? [{ address, weight: 0, state: 'dead' }] : [];
  });
  return { servers: servers.sort((a, b) => (a.address < b.address ? -1 : 1)), keeping: kept.length > 0 };
}

/**
 * Who serves while nobody is proven healthy: those that failed together last, or, right after a take-over,
 * those that have not been probed yet. Empty while anyone is healthy.
 */
function lastGood(members: PoolState, togetherMs: number): PoolState {
  if (members.some(({ phase }) => phase === 'healthy')) return [];
  const failed = members.filter(({ phase }) => phase === 'failed');
  if (failed.length === 0) return members.filter(({ phase }) => phase === 'unproven');
  const last = Math.max(...failed.map(({ since }) => since));
  return failed.filter(({ since }) => last - since <= togetherMs);
}

function fullWeight(options: PoolOptions): number {
  return options.slowStartMs > 0 ? FULL_WEIGHT : 1;
}

function weightOf(member: Member, options: PoolOptions, now: number): number {
  if (options.slowStartMs === 0) return 1;
  const share = Math.min(1, (now - member.since) / options.slowStartMs);
  return Math.max(1, Math.round(share * FULL_WEIGHT));
}
