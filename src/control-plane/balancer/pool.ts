import type { Ip } from '../../lib/ip.ts';
import type { Candidate } from './discovery.ts';

/**
 * Which API servers get connections, decided from two independent facts: the Node is a candidate, and the
 * probe gets an answer.
 *
 *                  one success                 fall failures, or refused
 *   unproven ─┬────────────────────► healthy ─────────────────────────────► failed ──► healthy (rise)
 *             └─ fall failures ─► failed
 *   Node no candidate any more: ──► draining ── drainMs ──► forgotten
 *
 * Only `healthy` ones get new connections as long as there are any. What becomes of the connections that a
 * server has is another question: an `unproven` one keeps them, for it may have served under another holder,
 * under a predecessor of this process, or before its Node was not ready for a moment. So does a `failed` one that
 * answers its probes, with an error, for as long as drainMs: an API server that shuts down in good order does
 * that. One that answers nothing is dead, and its connections are cut so that no client hangs on it; but not
 * while no other server answers either, since then it is the probes that are broken, or the link of this node.
 *
 * When the probes of *all* candidates fail the last good set stays in place, that is those that failed together
 * with the last one: a broken probe must not take the API down.
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
      /** Nobody listens there, or must: the next clients would fare like the probe, so one is enough. */
      readonly isRefused?: boolean;
      /** It answered, and be it with an error. */
      readonly isAnswered?: boolean;
    }
  | { readonly kind: 'tick' };

export interface Member {
  readonly node: string;
  readonly address: Ip;
  readonly phase: 'unproven' | 'healthy' | 'failed' | 'draining';
  /** Successes (failed) or failures (unproven, healthy) in a row. */
  readonly streak: number;
  /** Monotonic milliseconds at which the phase began. */
  readonly since: number;
  readonly lastProblem: string | undefined;
  /** It may have connections: it was healthy, or was there when this node took over. */
  readonly hasServed: boolean;
  /** Probes in a row that nobody answered; a refusal counts for `fall` of them. */
  readonly unanswered: number;
  /** When a failed one last was in the rotation. */
  readonly retiredAt: number;
  /** Of a failed one: its connections are not kept any longer. */
  readonly isDead: boolean;
}

export type PoolState = readonly Member[];

export const emptyPool: PoolState = [];

export interface PoolServer {
  readonly address: Ip;
  readonly weight: number;
  readonly state: 'active' | 'draining' | 'dead';
  /** It serves because it answers its probes, and not because nobody is known to. */
  readonly isProven: boolean;
}

/** Weight of a server that has been in rotation for the whole slow-start time; during it, fewer. */
const FULL_WEIGHT = 10;

/** The next state of the pool. Pure; `now` is monotonic milliseconds. */
export function stepPool(members: PoolState, event: PoolEvent, options: PoolOptions, now: number): PoolState {
  switch (event.kind) {
    case 'candidates':
      return retire(withCandidates(members, event.candidates, options, now), options, now);
    case 'probe': {
      const after = members.map((member) =>
        member.address === event.address ? probed(member, event, options, now) : member,
      );
      return retire(after, options, now);
    }
    case 'tick':
      return members.filter(({ phase, since }) => phase !== 'draining' || now - since < options.drainMs);
  }
}

function withCandidates(
  members: readonly Member[],
  candidates: readonly Candidate[],
  { drainMs }: PoolOptions,
  now: number,
): Member[] {
  const wanted = new Map(candidates.map((candidate) => [candidate.address, candidate]));
  const kept = members.flatMap((member): Member[] => {
    const candidate = wanted.get(member.address);
    wanted.delete(member.address);
    if (candidate !== undefined)
      return [
        member.phase === 'draining' ? fresh(candidate, true, now) : { ...member, node: candidate.node },
      ];
    if (member.phase === 'draining') return [member];
    const hasConnections = member.hasServed && !member.isDead;
    return hasConnections && drainMs > 0 ? [{ ...member, phase: 'draining', streak: 0, since: now }] : [];
  });
  const isTakeOver = members.length === 0;
  return [...kept, ...[...wanted.values()].map((candidate) => fresh(candidate, isTakeOver, now))];
}

function fresh({ node, address }: Candidate, hasServed: boolean, now: number): Member {
  const record = { unanswered: 0, retiredAt: now, isDead: false };
  return {
    node,
    address,
    phase: 'unproven',
    streak: 0,
    since: now,
    lastProblem: undefined,
    hasServed,
    ...record,
  };
}

type Probe = Extract<PoolEvent, { kind: 'probe' }>;

function probed(member: Member, probe: Probe, options: PoolOptions, now: number): Member {
  if (member.phase === 'draining') return member;
  if (probe.problem === undefined) return succeeded({ ...member, unanswered: 0 }, options, now);
  return failed(member, probe, probe.problem, options, now);
}

function succeeded(member: Member, { rise }: PoolOptions, now: number): Member {
  if (member.phase === 'healthy') return { ...member, streak: 0 };
  // The first proof is enough for a new server; one that failed has to prove itself `rise` times.
  const needed = member.phase === 'unproven' ? 1 : rise;
  if (member.phase === 'failed' && member.streak + 1 < needed)
    return { ...member, streak: member.streak + 1 };
  const good = { hasServed: true, isDead: false, lastProblem: undefined };
  return { ...member, ...good, phase: 'healthy', streak: 0, since: now };
}

function failed(
  member: Member,
  { isRefused = false, isAnswered = false }: Probe,
  problem: string,
  { fall }: PoolOptions,
  now: number,
): Member {
  const unanswered = isAnswered ? 0 : isRefused ? fall : member.unanswered + 1;
  const told = { ...member, unanswered, lastProblem: problem };
  if (member.phase === 'failed') return { ...told, streak: 0 };
  if (!isRefused && member.streak + 1 < fall) return { ...told, streak: member.streak + 1 };
  return { ...told, phase: 'failed', streak: 0, since: now, retiredAt: now };
}

/** Decides which of the failed ones are dead. None while nobody is known to answer. */
function retire(members: PoolState, options: PoolOptions, now: number): PoolState {
  const kept = lastGood(members, options.togetherMs);
  const anyAnswers = members.some(({ phase, streak }) => phase === 'healthy' && streak === 0);
  return members.map((member) => {
    if (member.phase !== 'failed') return member;
    if (kept.includes(member)) return { ...member, retiredAt: now };
    const isOver = member.unanswered >= options.fall || now - member.retiredAt >= options.drainMs;
    return { ...member, isDead: member.isDead || (anyAnswers && isOver) };
  });
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
    const isProven = phase === 'healthy';
    if (kept.includes(member)) return [{ address, weight: fullWeight(options), state: 'active', isProven }];
    if (isProven) return [{ address, weight: weightOf(member, options, now), state: 'active', isProven }];
    if (!member.hasServed) return [];
    return [{ address, weight: 0, state: member.isDead ? 'dead' : 'draining', isProven }];
  });
  const keeping = kept.length > 0 && kept.every(({ phase }) => phase === 'failed');
  return { servers: servers.sort((a, b) => (a.address < b.address ? -1 : 1)), keeping };
}

/**
 * Who serves while nobody is proven healthy: right after a take-over those that have not been probed yet,
 * otherwise those that failed together last. Empty while anyone is healthy.
 */
function lastGood(members: PoolState, togetherMs: number): PoolState {
  if (members.some(({ phase }) => phase === 'healthy')) return [];
  const unproven = members.filter(({ phase }) => phase === 'unproven');
  const untried = unproven.filter(({ hasServed }) => hasServed);
  const failures = members.filter(({ phase, hasServed }) => phase === 'failed' && hasServed);
  if (untried.length > 0) {
    // Perhaps all will fail: then nothing was changed.
    const from = Math.min(...untried.map(({ since }) => since));
    return [...untried, ...failures.filter(({ since }) => since >= from)];
  }
  if (failures.length === 0) return unproven;
  const last = Math.max(...failures.map(({ since }) => since));
  return failures.filter(({ since }) => last - since <= togetherMs);
}

function fullWeight(options: PoolOptions): number {
  return options.slowStartMs > 0 ? FULL_WEIGHT : 1;
}

function weightOf(member: Member, options: PoolOptions, now: number): number {
  if (options.slowStartMs === 0) return 1;
  const share = Math.min(1, (now - member.since) / options.slowStartMs);
  return Math.max(1, Math.round(share * FULL_WEIGHT));
}
