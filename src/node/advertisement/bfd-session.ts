import type { Clock, Random, Timer } from '../../lib/clock.ts';
import { DecodeError, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { errnoOf, isKernelError } from '../../linux/errors.ts';
import type { OpenUdpPath, UdpPath } from '../../linux/types.ts';
import {
  decodeBfd,
  encodeBfd,
  stepBfd,
  stoppedBfd,
  type BfdConfig,
  type BfdEffect,
  type BfdEvent,
  type BfdState,
  type BfdStateName,
  type BfdTimer,
} from '../../protocols/index.ts';
import type { BfdOptions, PeerConfig } from './types.ts';

export interface BfdSessionParts {
  readonly openUdpPath: OpenUdpPath;
  readonly clock: Clock;
  readonly random: Random;
  /** Names the peer. */
  readonly log: Logger;
  readonly linkIndex: (name: string) => number | undefined;
  readonly onDecodeError?: (error: DecodeError) => void;
}

export type BfdSessionOptions = BfdOptions & Pick<PeerConfig, 'address' | 'localAddress' | 'device'>;

/** RFC 5881 4 and RFC 5883 5. */
const SINGLE_HOP_PORT = 3784;
const MULTIHOP_PORT = 4784;

/** One BFD session: the machine's effects made real. It needs no other than to be told when the path has failed. */
export class BfdSession {
  private readonly parts: BfdSessionParts;
  private readonly options: BfdSessionOptions;
  private readonly config: BfdConfig;
  private readonly onFailed: (why: string) => void;
  private readonly timers = new Map<BfdTimer, Timer>();
  private state: BfdState = stoppedBfd;
  /** Made anew when it can send no more: the address it comes from, or the way, may be another one now. */
  private path: UdpPath | undefined;
  /** Trouble with the path was logged and is not over. */
  private hasComplained = false;

  constructor(parts: BfdSessionParts, options: BfdSessionOptions, onFailed: (why: string) => void) {
    this.parts = parts;
    this.options = options;
    this.config = {
      discriminator: 1 + Math.floor(parts.random() * 0xffff_fffe),
      desiredMinTxMs: options.txMs,
      requiredMinRxMs: options.rxMs,
      detectMultiplier: options.multiplier,
    };
    this.onFailed = onFailed;
  }

  get stateName(): BfdStateName {
    return this.state.name;
  }

  start(): void {
    this.take({ kind: 'start' });
  }

  /** Tells the peer that its silence from now on means nothing. */
  stop(): void {
    this.take({ kind: 'stop' });
    this.path?.close();
    this.path = undefined;
  }

  private take(event: BfdEvent): void {
    const step = stepBfd(this.state, event, { config: this.config, random: this.parts.random });
    this.state = step.state;
    for (const effect of step.effects) this.run(effect, step.reason);
  }

  private run(effect: BfdEffect, reason: string): void {
    switch (effect.kind) {
      case 'send':
        this.send(encodeBfd(effect.packet));
        return;
      case 'timer':
        this.arm(effect.timer, effect.ms);
        return;
      case 'up':
        this.parts.log.info('BFD session up');
        return;
      case 'down':
        this.parts.log[effect.hasFailed ? 'warn' : 'info']('BFD session down', { reason });
        if (effect.hasFailed) this.onFailed(reason);
    }
  }

  private arm(name: BfdTimer, ms: number | undefined): void {
    this.timers.get(name)?.cancel();
    this.timers.delete(name);
    if (ms === undefined) return;
    const timer = this.parts.clock.after(`bfd-${name}`, ms, () => {
      this.timers.delete(name);
      // A process that stood still has the packets of that time yet to read: they come before the verdict.
      if (name === 'detect') this.path?.hearNow();
      if (!this.timers.has(name)) this.take({ kind: 'timer', timer: name });
    });
    this.timers.set(name, timer);
  }

  private hear(datagram: Uint8Array): void {
    try {
      this.take({ kind: 'packet', packet: decodeBfd(datagram) });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.parts.onDecodeError?.(error);
      this.parts.log.debug('not a BFD packet', { reason: error.message });
    }
  }

  private send(packet: Uint8Array): void {
    try {
      this.path ??= this.open();
      this.path.send(packet);
      this.hasComplained = false;
    } catch (error) {
      if (!isKernelError(error)) throw error;
      // Nobody listens there yet: no fault of the path's.
      if (error.errno === errnoOf.ECONNREFUSED) return;
      // A rule of this node's firewall, as Linux puts it: what the peer says is still to be heard.
      const isDropped = error.errno === errnoOf.EPERM && this.path !== undefined;
      if (!isDropped) {
        this.path?.close();
        this.path = undefined;
      }
      if (this.hasComplained) return;
      this.hasComplained = true;
      const reason = isDropped ? 'a firewall on this node drops them (EPERM)' : messageOf(error);
      this.parts.log.warn('cannot send BFD packets, trying again', { reason });
    }
  }

  private open(): UdpPath {
    const { address, localAddress, device, isMultihop } = this.options;
    const scopeId = device === undefined ? undefined : this.parts.linkIndex(device);
    return this.parts.openUdpPath(
      {
        remote: address,
        port: isMultihop ? MULTIHOP_PORT : SINGLE_HOP_PORT,
        isDirect: !isMultihop,
        ...(localAddress === undefined ? {} : { localAddress }),
        ...(device === undefined ? {} : { device }),
        ...(scopeId === undefined ? {} : { scopeId }),
      },
      (datagram) => {
        this.hear(datagram);
      },
    );
  }
}
