import type { Random } from '../../lib/clock.ts';
import { backoffMs } from '../../lib/backoff.ts';
import type { Family } from '../../lib/ip.ts';
import { describeNotification, errorCode } from './errors.ts';
import { unicastFamily } from './families.ts';
import { judgeOpen, openMessage, type Negotiated, type SessionConfig } from './open.ts';
import type { BgpMessage, Notification } from './types.ts';

/*
 * The session of RFC 4271 8, from the side that connects (nothing listens, so there are no collisions):
 *
 *            start            connected            OPEN is fine            KEEPALIVE
 *   idle ───────────► connect ─────────► openSent ───────────► openConfirm ─────────► established
 *    ▲  idleHold       │   ▲                │ connection lost       │                     │
 *    │                 ▼   │ connectRetry   ▼                       │                     │
 *    │                 active ◄─────────────┘                       │                     │
 *    └── anything that ends a session, after a NOTIFICATION ────────┴─────────────────────┘
 *
 * `active` is the RFC's name for "not connected, trying again when the timer says so": soon, later and later.
 */
export type SessionState =
  /** `wanted` false: it was stopped, or never started. */
  | { readonly kind: 'idle'; readonly wanted: boolean; readonly failures: number }
  /** `refusals`: attempts in a row that came to nothing before the peer had said a word. */
  | { readonly kind: 'connect' | 'active' | 'openSent'; readonly failures: number; readonly refusals: number }
  | { readonly kind: 'openConfirm'; readonly failures: number; readonly negotiated: Negotiated }
  | { readonly kind: 'established'; readonly failures: number; readonly negotiated: Negotiated };

export type SessionTimer = 'connectRetry' | 'hold' | 'keepalive' | 'idleHold';

export type SessionEvent =
  | { readonly kind: 'start' }
  /** What the peer is told about it (RFC 4486: a subcode of Cease). */
  | { readonly kind: 'stop'; readonly subcode: number }
  | { readonly kind: 'connected' }
  /** The connection could not be made, or is no more. */
  | { readonly kind: 'disconnected'; readonly why: string }
  | { readonly kind: 'message'; readonly message: BgpMessage }
  /** What came cannot be a message. */
  | { readonly kind: 'garbage'; readonly notification: Notification; readonly why: string }
  | { readonly kind: 'timer'; readonly timer: SessionTimer }
  /** The path to the peer has failed, as BFD has found out. */
  | { readonly kind: 'pathLost'; readonly why: string };

export type SessionEffect =
  | { readonly kind: 'connect' }
  /** Ends the connection after what was sent has left, or the attempt to make one. */
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'send'; readonly message: BgpMessage }
  /** Arms the timer anew, or stops it. */
  | { readonly kind: 'timer'; readonly timer: SessionTimer; readonly ms: number | undefined }
  | { readonly kind: 'established'; readonly negotiated: Negotiated }
  /** Send all routes of this family once more. */
  | { readonly kind: 'refresh'; readonly family: Family };

/** Why a step was taken: for the log, the status and tests. */
export type SessionReason =
  | 'started'
  | 'stopped'
  | 'connecting'
  | 'connected'
  | 'not connected'
  | 'connection lost'
  | 'opened'
  | 'open refused'
  | 'established'
  | 'kept alive'
  | 'refresh asked'
  | 'hold timer expired'
  | 'BFD down'
  | 'notification received'
  | 'bad message'
  | 'unexpected message'
  | 'ignored';

export interface SessionStep {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
  readonly reason: SessionReason;
  /** In whose words, where there are any. */
  readonly detail?: string;
}

export interface SessionContext {
  readonly config: SessionConfig;
  readonly random: Random;
}

export const stoppedSession: SessionState = { kind: 'idle', wanted: false, failures: 0 };

/** RFC 4271 8: "a large value", 4 minutes, until the peer has proposed its own. */
const OPEN_HOLD_MS = 240_000;
/** The first pause after a session has ended, or was refused; it doubles up to the connect retry time while nothing lasts. */
const LEAST_IDLE_MS = 1000;

/** Of an attempt that nobody refused either: the kernel drops what is not signed as expected (RFC 2385). */
const NO_ANSWER = 'no answer: the peer is not there, a firewall drops packets, or the passwords differ';

/** RFC 9384. */
const BFD_DOWN = 10;

type Attempt = Extract<SessionState, { readonly refusals: number }>;

const stopAll: readonly SessionEffect[] = (['connectRetry', 'hold', 'keepalive', 'idleHold'] as const).map(
  (timer) => ({ kind: 'timer', timer, ms: undefined }),
);

/** One step of the session: pure, and total: an event that means nothing in a state is `ignored` with it. */
export function stepSession(state: SessionState, event: SessionEvent, context: SessionContext): SessionStep {
  if (event.kind === 'stop') return stop(state, event.subcode);
  switch (state.kind) {
    case 'idle':
      return inIdle(state, event, context);
    case 'connect':
      return inConnect(state, event, context);
    case 'active':
      return inActive(state, event, context);
    case 'openSent':
      return inOpenSent(state, event, context);
    case 'openConfirm':
      return inOpenConfirm(state, event, context);
    case 'established':
      return inEstablished(state, event, context);
  }
}

function inIdle(
  state: Extract<SessionState, { kind: 'idle' }>,
  event: SessionEvent,
  context: SessionContext,
): SessionStep {
  if (event.kind === 'start' && !state.wanted) return connect(state.failures, 0, context, 'started');
  if (event.kind === 'timer' && event.timer === 'idleHold' && state.wanted)
    return connect(state.failures, 0, context, 'connecting');
  return ignored(state);
}

function inConnect(state: Attempt, event: SessionEvent, context: SessionContext): SessionStep {
  if (event.kind === 'connected')
    return {
      state: { ...state, kind: 'openSent' },
      effects: [
        timer('connectRetry', undefined),
        { kind: 'send', message: openMessage(context.config) },
        timer('hold', OPEN_HOLD_MS),
      ],
      reason: 'connected',
    };
  if (event.kind === 'disconnected') return refused(state, context, 'not connected', event.why);
  if (event.kind === 'timer' && event.timer === 'connectRetry') {
    const again = connect(state.failures, state.refusals, context, 'not connected');
    return { ...again, effects: [{ kind: 'disconnect' }, ...again.effects], detail: NO_ANSWER };
  }
  return ignored(state);
}

function inActive(state: Attempt, event: SessionEvent, context: SessionContext): SessionStep {
  return event.kind === 'timer' && event.timer === 'connectRetry'
    ? connect(state.failures, state.refusals, context, 'connecting')
    : ignored(state);
}

function inOpenSent(state: Attempt, event: SessionEvent, context: SessionContext): SessionStep {
  if (event.kind === 'disconnected') return refused(state, context, 'connection lost', event.why);
  if (event.kind !== 'message' || event.message.type !== 'open') return common(state, event, context, 1);
  const verdict = judgeOpen(event.message, context.config);
  if (!verdict.accepted) return fail(state, context, 'open refused', verdict.why, verdict.notification);
  const { negotiated } = verdict;
  return {
    state: { kind: 'openConfirm', failures: state.failures, negotiated },
    effects: [
      { kind: 'send', message: { type: 'keepalive' } },
      holdTimer(negotiated),
      keepaliveTimer(negotiated, context),
    ],
    reason: 'opened',
  };
}

function inOpenConfirm(
  state: Extract<SessionState, { kind: 'openConfirm' }>,
  event: SessionEvent,
  context: SessionContext,
): SessionStep {
  const { failures, negotiated } = state;
  if (event.kind === 'message' && event.message.type === 'keepalive')
    return {
      state: { kind: 'established', failures, negotiated },
      effects: [holdTimer(negotiated), { kind: 'established', negotiated }],
      reason: 'established',
    };
  return common(state, event, context, 2);
}

function inEstablished(
  state: Extract<SessionState, { kind: 'established' }>,
  event: SessionEvent,
  context: SessionContext,
): SessionStep {
  if (event.kind !== 'message') return common(state, event, context, 3);
  const { message } = event;
  const { negotiated } = state;
  switch (message.type) {
    case 'keepalive':
      // It has lasted: the next loss is a new story.
      return { state: { ...state, failures: 0 }, effects: [holdTimer(negotiated)], reason: 'kept alive' };
    case 'update':
      return { state, effects: [holdTimer(negotiated)], reason: 'kept alive' };
    case 'route-refresh': {
      const family = unicastFamily(message.afi, message.safi);
      if (family === undefined || !negotiated.families.includes(family)) return ignored(state);
      return { state, effects: [{ kind: 'refresh', family }], reason: 'refresh asked' };
    }
    default:
      return common(state, event, context, 3);
  }
}

/** What means the same in every state with a connection; `subcode` names the state (RFC 6608). */
function common(
  state: SessionState & { readonly negotiated?: Negotiated },
  event: SessionEvent,
  context: SessionContext,
  subcode: number,
): SessionStep {
  switch (event.kind) {
    case 'disconnected':
      return fail(state, context, 'connection lost', event.why);
    case 'garbage':
      return fail(state, context, 'bad message', event.why, event.notification);
    case 'pathLost':
      return fail(state, context, 'BFD down', event.why, {
        code: errorCode.cease,
        subcode: BFD_DOWN,
        data: new Uint8Array(),
      });
    case 'message': {
      const { message } = event;
      if (message.type === 'notification')
        return fail(state, context, 'notification received', describeNotification(message));
      const notification = { code: errorCode.machine, subcode, data: new Uint8Array() };
      return fail(state, context, 'unexpected message', `${message.type} in ${state.kind}`, notification);
    }
    case 'timer':
      if (event.timer === 'hold') {
        const notification = { code: errorCode.hold, subcode: 0, data: new Uint8Array() };
        return fail(state, context, 'hold timer expired', undefined, notification);
      }
      if (event.timer !== 'keepalive' || state.negotiated === undefined) return ignored(state);
      return {
        state,
        effects: [
          { kind: 'send', message: { type: 'keepalive' } },
          keepaliveTimer(state.negotiated, context),
        ],
        reason: 'kept alive',
      };
    default:
      return ignored(state);
  }
}

function connect(
  failures: number,
  refusals: number,
  context: SessionContext,
  reason: SessionReason,
): SessionStep {
  return {
    state: { kind: 'connect', failures, refusals },
    effects: [timer('connectRetry', retryMs(context)), { kind: 'connect' }],
    reason,
  };
}

/** A router that is only starting again is tried soon. */
function refused(state: Attempt, context: SessionContext, reason: SessionReason, why: string): SessionStep {
  const refusals = state.refusals + 1;
  const effects = [...stopAll, timer('connectRetry', pauseMs(refusals, context))];
  return { state: { ...state, kind: 'active', refusals }, effects, reason, detail: why };
}

/** Says why where the peer has to know, and waits before the next attempt (RFC 4271 8.1.1, IdleHoldTime). */
function fail(
  state: SessionState,
  context: SessionContext,
  reason: SessionReason,
  detail: string | undefined,
  notification?: Notification,
): SessionStep {
  const failures = state.failures + 1;
  return {
    state: { kind: 'idle', wanted: true, failures },
    effects: [
      ...stopAll,
      ...(notification === undefined ? [] : [telling(notification)]),
      { kind: 'disconnect' },
      timer('idleHold', pauseMs(failures, context)),
    ],
    reason,
    ...(detail === undefined ? {} : { detail }),
  };
}

function stop(state: SessionState, subcode: number): SessionStep {
  const isOpen = state.kind === 'openSent' || state.kind === 'openConfirm' || state.kind === 'established';
  const cease = { code: errorCode.cease, subcode, data: new Uint8Array() };
  return {
    state: stoppedSession,
    effects: [...stopAll, ...(isOpen ? [telling(cease)] : []), { kind: 'disconnect' }],
    reason: 'stopped',
  };
}

function telling(notification: Notification): SessionEffect {
  return { kind: 'send', message: { type: 'notification', ...notification } };
}

function timer(name: SessionTimer, ms: number | undefined): SessionEffect {
  return { kind: 'timer', timer: name, ms };
}

function holdTimer({ holdTime }: Negotiated): SessionEffect {
  return timer('hold', holdTime === 0 ? undefined : holdTime * 1000);
}

function keepaliveTimer({ keepaliveInterval }: Negotiated, context: SessionContext): SessionEffect {
  return timer(
    'keepalive',
    keepaliveInterval === 0 ? undefined : jittered(keepaliveInterval * 1000, context.random),
  );
}

function pauseMs(attempt: number, { config, random }: SessionContext): number {
  const maxMs = config.connectRetry * 1000;
  return backoffMs(attempt, { baseMs: Math.min(LEAST_IDLE_MS, maxMs), maxMs }, random);
}

function retryMs({ config, random }: SessionContext): number {
  return jittered(config.connectRetry * 1000, random);
}

/** RFC 4271 10: between 3/4 and all of it, so that many speakers do not move in step. */
function jittered(ms: number, random: Random): number {
  return ms * (0.75 + random() / 4);
}

function ignored(state: SessionState): SessionStep {
  return { state, effects: [], reason: 'ignored' };
}
