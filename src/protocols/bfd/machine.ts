import type { Random } from '../../lib/clock.ts';
import type { BfdPacket, BfdStateName } from './types.ts';

/*
 * The session of RFC 5880 6.8 in asynchronous mode, as the active side, without echo and authentication:
 *
 *   heard from   down          init          up            adminDown
 *   in down      init          up            –             –
 *   in init      –             up            up            down
 *   in up        down          –             –             down
 *
 * and from init or up to down when nothing is heard for the detection time.
 */
export interface BfdState {
  readonly name: BfdStateName;
  /** What our packets say: why the session last left Up. */
  readonly diagnostic: number;
  /** Of the last packet; undefined: nothing was heard for a detection time. */
  readonly remote: BfdPacket | undefined;
  /** Our interval has changed, and the neighbour has not yet said that it knows (6.5). */
  readonly isPolling: boolean;
}

export type BfdTimer = 'transmit' | 'detect';

export type BfdEvent =
  | { readonly kind: 'start' }
  /** It is not needed any more; the neighbour is told, and should think nothing of it. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'packet'; readonly packet: BfdPacket }
  | { readonly kind: 'timer'; readonly timer: BfdTimer };

export type BfdEffect =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  /** Arms the timer anew, or stops it. */
  | { readonly kind: 'timer'; readonly timer: BfdTimer; readonly ms: number | undefined }
  | { readonly kind: 'up' }
  /** It was up. RFC 5882 3.2: who relies on it acts only when the path has failed, and not when BFD was switched off. */
  | { readonly kind: 'down'; readonly hasFailed: boolean };

export type BfdReason =
  | 'started'
  | 'stopped'
  | 'transmitted'
  | 'heard'
  | 'came up'
  | 'nothing heard for the detection time'
  | 'the neighbour says down'
  | 'the neighbour has switched it off'
  | 'ignored';

export interface BfdStep {
  readonly state: BfdState;
  readonly effects: readonly BfdEffect[];
  readonly reason: BfdReason;
}

export interface BfdConfig {
  /** Names the session at our end; 1 to 2^32-1, no two sessions of a system have the same. */
  readonly discriminator: number;
  /** Milliseconds, as is the next; at most 4 294 967. */
  readonly desiredMinTxMs: number;
  readonly requiredMinRxMs: number;
  /** 1 to 255. */
  readonly detectMultiplier: number;
}

export interface BfdContext {
  readonly config: BfdConfig;
  readonly random: Random;
}

export const stoppedBfd: BfdState = {
  name: 'adminDown',
  diagnostic: 0,
  remote: undefined,
  isPolling: false,
};

/** RFC 5880 4.1, `Diag`. */
const diagnostics = { none: 0, expired: 1, signalledDown: 3, switchedOff: 7 } as const;

/** RFC 5880 6.8.3: a session that is not up sends no more than one packet in a second. */
const SLOW_MS = 1000;

/** One step of the session: pure, and total: an event that means nothing is `ignored`. */
export function stepBfd(state: BfdState, event: BfdEvent, context: BfdContext): BfdStep {
  switch (event.kind) {
    case 'start':
      return state.name === 'adminDown' ? begin(context) : ignored(state);
    case 'stop':
      return state.name === 'adminDown' ? ignored(state) : end(state, context);
    case 'packet':
      return state.name === 'adminDown' ? ignored(state) : hear(state, event.packet, context);
    case 'timer':
      if (state.name === 'adminDown') return ignored(state);
      return event.timer === 'transmit' ? transmit(state, context) : expire(state, context);
  }
}

/**
 * 6.8.4: the milliseconds without a packet after which a session is down: what the neighbour sends by, or what we
 * can take where that is slower, as often as it says. Undefined when nothing was heard.
 */
function detectionMs({ remote }: BfdState, config: BfdConfig): number | undefined {
  if (remote === undefined) return undefined;
  return remote.detectMultiplier * Math.max(config.requiredMinRxMs, remote.desiredMinTxUs / 1000);
}

function begin(context: BfdContext): BfdStep {
  const state: BfdState = { ...stoppedBfd, name: 'down' };
  return { state, effects: sending(state, context), reason: 'started' };
}

function end(before: BfdState, context: BfdContext): BfdStep {
  const state: BfdState = {
    ...before,
    name: 'adminDown',
    diagnostic: diagnostics.switchedOff,
    isPolling: false,
  };
  return {
    state,
    effects: [
      { kind: 'send', packet: packetOf(state, context.config) },
      timer('transmit', undefined),
      timer('detect', undefined),
      ...leaving(before, state, false),
    ],
    reason: 'stopped',
  };
}

function transmit(state: BfdState, context: BfdContext): BfdStep {
  return { state, effects: sending(state, context), reason: 'transmitted' };
}

/** 6.8.4, and 6.8.1 for the discriminator, which is forgotten. */
function expire(before: BfdState, context: BfdContext): BfdStep {
  const reason = 'nothing heard for the detection time';
  const state: BfdState = { ...before, remote: undefined, isPolling: false };
  if (before.name === 'down') return { state, effects: pacing(before, state, context), reason };
  const down: BfdState = { ...state, name: 'down', diagnostic: diagnostics.expired };
  return { state: down, effects: [...leaving(before, down, true), ...sending(down, context)], reason };
}

/** 6.8.6, from where a packet was found to be for this session. */
function hear(before: BfdState, packet: BfdPacket, context: BfdContext): BfdStep {
  const { config } = context;
  if (packet.yourDiscriminator !== 0 && packet.yourDiscriminator !== config.discriminator)
    return ignored(before);
  const { name, reason } = next(before.name, packet.state);
  const isChange = name !== before.name;
  const state: BfdState = {
    name,
    diagnostic: diagnosticOf(before, name),
    remote: packet,
    isPolling: isChange ? name === 'up' : before.isPolling && !packet.final,
  };
  // 6.8.7: a change is told at once; 6.5: so is that a poll was heard.
  const answers: BfdEffect[] = packet.poll
    ? [{ kind: 'send', packet: { ...packetOf(state, config), poll: false, final: true } }]
    : [];
  return {
    state,
    effects: [
      ...leaving(before, state, packet.state !== 'adminDown'),
      ...(name === 'up' && isChange ? [{ kind: 'up' } as const] : []),
      ...answers,
      ...(isChange ? sending(state, context) : pacing(before, state, context)),
      timer('detect', detectionMs(state, config)),
    ],
    reason,
  };
}

function next(
  name: BfdStateName,
  heard: BfdStateName,
): { readonly name: BfdStateName; readonly reason: BfdReason } {
  if (heard === 'adminDown')
    return name === 'down'
      ? { name, reason: 'heard' }
      : { name: 'down', reason: 'the neighbour has switched it off' };
  switch (name) {
    case 'down':
      if (heard === 'down') return { name: 'init', reason: 'heard' };
      return heard === 'init' ? { name: 'up', reason: 'came up' } : { name, reason: 'heard' };
    case 'init':
      return heard === 'down' ? { name, reason: 'heard' } : { name: 'up', reason: 'came up' };
    default:
      return heard === 'down'
        ? { name: 'down', reason: 'the neighbour says down' }
        : { name, reason: 'heard' };
  }
}

function diagnosticOf(before: BfdState, name: BfdStateName): number {
  if (name === before.name) return before.diagnostic;
  if (name === 'down') return diagnostics.signalledDown;
  return name === 'up' ? diagnostics.none : before.diagnostic;
}

function leaving(before: BfdState, after: BfdState, hasFailed: boolean): readonly BfdEffect[] {
  return before.name === 'up' && after.name !== 'up' ? [{ kind: 'down', hasFailed }] : [];
}

/** The timer anew where the neighbour wants another interval than before. */
function pacing(before: BfdState, after: BfdState, context: BfdContext): readonly BfdEffect[] {
  const isSame = transmitMs(before, context.config) === transmitMs(after, context.config);
  return isSame ? [] : [nextTransmit(after, context)];
}

function sending(state: BfdState, context: BfdContext): readonly BfdEffect[] {
  return [{ kind: 'send', packet: packetOf(state, context.config) }, nextTransmit(state, context)];
}

function packetOf(state: BfdState, config: BfdConfig): BfdPacket {
  return {
    diagnostic: state.diagnostic,
    state: state.name,
    poll: state.isPolling,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: config.detectMultiplier,
    myDiscriminator: config.discriminator,
    yourDiscriminator: state.remote?.myDiscriminator ?? 0,
    desiredMinTxUs: desiredMinTxMs(state, config) * 1000,
    requiredMinRxUs: config.requiredMinRxMs * 1000,
    requiredMinEchoRxUs: 0,
  };
}

function desiredMinTxMs({ name }: BfdState, config: BfdConfig): number {
  return name === 'up' ? config.desiredMinTxMs : Math.max(SLOW_MS, config.desiredMinTxMs);
}

/** 6.8.7: milliseconds between packets before jitter; undefined while none are wanted. */
function transmitMs(state: BfdState, config: BfdConfig): number | undefined {
  const { remote, name, isPolling } = state;
  if (remote === undefined) return desiredMinTxMs(state, config);
  if (remote.requiredMinRxUs === 0) return undefined;
  if (remote.demand && remote.state === 'up' && name === 'up' && !isPolling) return undefined;
  return Math.max(desiredMinTxMs(state, config), remote.requiredMinRxUs / 1000);
}

/** 6.8.7: up to a quarter less than the interval, and with a multiplier of 1 never more than nine tenths of it. */
function nextTransmit(state: BfdState, { config, random }: BfdContext): BfdEffect {
  const ms = transmitMs(state, config);
  const spread = config.detectMultiplier === 1 ? 0.15 : 0.25;
  return timer('transmit', ms === undefined ? undefined : ms * (0.75 + spread * random()));
}

function timer(name: BfdTimer, ms: number | undefined): BfdEffect {
  return { kind: 'timer', timer: name, ms };
}

function ignored(state: BfdState): BfdStep {
  return { state, effects: [], reason: 'ignored' };
}
