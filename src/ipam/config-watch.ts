import type { KubeObject, ReflectorListener } from '../kube/types.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { configProblems } from './config-problems.ts';
import type { IpamObserver, IpamOptions } from './types.ts';

export interface ConfigMapObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface ConfigWatchParts {
  /** Creates the ConfigMap of the pools, empty. */
  readonly createConfigMap: () => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observer: IpamObserver;
}

export interface ConfigUser {
  /** Asked at the last moment: may this process still write? */
  mayWrite(): boolean;
  changed(data: Readonly<Record<string, string>>): void;
  /** It is known now whether there is one. */
  listed(): void;
}

/** Who replaces the ConfigMap (`kubectl replace --force`) deletes it and creates it a moment later: not before him. */
const replaceGraceMs = 10_000;
const createBackoff = { baseMs: 500, maxMs: 30_000 };

/** Follows the ConfigMap of the pools, tells what is wrong in it, and creates an empty one where there is none. */
export class ConfigWatch {
  private readonly parts: ConfigWatchParts;
  private readonly place: IpamOptions['configMap'];
  private readonly user: ConfigUser;
  private current: readonly string[] = [];
  private isListed = false;
  private attempts = 0;
  private timer: Timer | undefined;

  constructor(parts: ConfigWatchParts, place: IpamOptions['configMap'], user: ConfigUser) {
    this.parts = parts;
    this.place = place;
    this.user = user;
  }

  readonly listener: ReflectorListener<ConfigMapObject> = {
    synced: (items) => {
      if (items.size === 0 && !this.isListed) this.missing(0);
      this.isListed = true;
      this.user.listed();
    },
    changed: (_key, { data }) => {
      this.attempts = 0;
      this.close();
      this.set(data ?? {});
    },
    removed: () => {
      this.missing(replaceGraceMs);
    },
  };

  /** Keys that cannot be used or mean nothing, and why. */
  get problems(): readonly string[] {
    return this.current;
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private set(data: Readonly<Record<string, string>>): void {
    const problems = configProblems(data);
    for (const message of problems) {
      if (this.current.includes(message)) continue;
      this.parts.observer.poolProblem?.({ type: 'Warning', reason: 'MalformedAddressPool', message });
    }
    this.current = problems;
    this.user.changed(data);
  }

  private missing(delayMs: number): void {
    this.set({});
    this.parts.log.warn('the ConfigMap of the address pools is missing; an empty one will be created', {
      configMap: `${this.place.namespace}/${this.place.name}`,
    });
    if (delayMs === 0) void this.create();
    else this.createAfter(delayMs);
  }

  private createAfter(delayMs: number): void {
    this.close();
    this.timer = this.parts.clock.after('ipam-config', delayMs, () => void this.create());
  }

  private async create(): Promise<void> {
    try {
      if (this.user.mayWrite()) await this.parts.createConfigMap();
    } catch (error) {
      const isThere = error instanceof Error && 'kind' in error && error.kind === 'already-exists';
      if (isThere || !this.user.mayWrite()) return;
      if (++this.attempts === 1)
        this.parts.log.warn('the ConfigMap could not be created, retrying', { error: messageOf(error) });
      this.createAfter(backoffMs(this.attempts, createBackoff, this.parts.random));
    }
  }
}
