import { createElection } from '../../../../src/election/driver.ts';
import type { Step } from '../../../../src/election/machine/machine.ts';
import type { LeaseStore } from '../../../../src/election/store.ts';
import type { Timings } from '../../../../src/election/timings.ts';
import type { Election, ElectionListener, LossReason } from '../../../../src/election/types.ts';
import type { Clock, Random, Timer } from '../../../../src/lib/clock.ts';
import type { Fence } from '../../../../src/lib/fence.ts';
import { silentLogger } from '../../../../src/lib/log.ts';
import type { MemoryLease } from '../../../../src/testing/memory-lease.ts';
import { carry, carryWatch, healthyPath } from './network.ts';
import type { Path } from './network.ts';
import { between } from './random.ts';
import type { Timeline } from './timeline.ts';

export interface SimNodeOptions {
  readonly identity: string;
  readonly timings: Timings;
  /** How fast this node's clocks run. */
  readonly rate: number;
  readonly watch: boolean;
  /** Timers fire up to this late. */
  readonly latenessMs: number;
  readonly step: Step | undefined;
}

export interface SimWorld {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly lease: MemoryLease;
  note(node: string, text: string): void;
  violation(text: string): void;
}

/** One node: a process that can be stopped, continued, killed and restarted, with clocks of its own. */
export class SimNode {
  readonly identity: string;
  readonly options: SimNodeOptions;
  readonly path: Path = healthyPath();
  /** The address is on the link of a process that runs. */
  vip = false;
  paused = false;
  /** Continued, and nothing has run yet. */
  waking = false;
  running = false;
  /** A process that was told to stop is started again when it has. */
  restarts = false;
  tenures = 0;
  calls = 0;
  resyncWatch: () => void = () => undefined;
  private readonly world: SimWorld;
  private readonly backlog: { readonly timer: boolean; readonly action: () => void }[] = [];
  private incarnation = 0;
  private fence: Fence | undefined;
  private election: Election | undefined;
  private abort = new AbortController();
  /** Aborts when this process is dead. */
  private dead = new AbortController();

  constructor(world: SimWorld, options: SimNodeOptions) {
    this.world = world;
    this.options = options;
    this.identity = options.identity;
  }

  /** May this node act as holder, as it would say itself? */
  get holds(): boolean {
    return this.vip && this.fence?.holds() === true;
  }

  start(): void {
    this.incarnation++;
    this.running = true;
    this.paused = false;
    this.waking = false;
    this.backlog.length = 0;
    this.abort = new AbortController();
    this.dead = new AbortController();
    const { step } = this.options;
    this.election = createElection(
      {
        store: this.store(),
        clock: this.clock(),
        random: this.world.random,
        log: silentLogger,
        ...(step === undefined ? {} : { step }),
      },
      { identity: this.identity, ...this.options.timings },
    );
    const mine = this.incarnation;
    this.election.run(this.listener(mine), this.abort.signal).then(
      () => {
        if (mine !== this.incarnation) return;
        if (!this.abort.signal.aborted)
          this.world.violation(`${this.identity}: the election ended by itself`);
        this.running = false;
        if (this.restarts) this.start();
      },
      (error: unknown) => {
        this.world.violation(`${this.identity}: the election failed: ${String(error)}`);
      },
    );
  }

  /** SIGKILL: the address stays on the link, but no process of ours is behind it. */
  crash(): void {
    if (!this.running) return;
    this.world.note(this.identity, 'crash');
    this.incarnation++;
    this.dead.abort();
    this.running = false;
    this.vip = false;
    this.fence = undefined;
    this.election = undefined;
  }

  /** SIGTERM. */
  stop(): void {
    if (!this.running) return;
    this.world.note(this.identity, 'stop');
    const { abort } = this;
    this.deliver(
      () => {
        abort.abort();
      },
      false,
      this.incarnation,
    );
  }

  pause(): void {
    if (!this.running || this.paused) return;
    this.world.note(this.identity, 'pause');
    this.paused = true;
  }

  /** SIGCONT: overdue timers first, then what has arrived, as an event loop does. */
  resume(): void {
    if (!this.running || !this.paused) return;
    this.world.note(this.identity, 'resume');
    this.paused = false;
    this.waking = this.backlog.length > 0;
    this.backlog.sort((a, b) => Number(b.timer) - Number(a.timer));
    const mine = this.incarnation;
    this.backlog.splice(0).forEach(({ action }) => {
      this.world.timeline.in(0, () => {
        this.deliver(action, false, mine);
      });
    });
  }

  resign(pauseMs: number): void {
    if (this.running && !this.paused) this.election?.resign('simulated', pauseMs);
  }

  recheck(): void {
    if (this.running && !this.paused) this.election?.recheck('simulated');
  }

  private deliver(action: () => void, timer: boolean, incarnation: number): void {
    if (incarnation !== this.incarnation) return;
    if (this.paused) {
      this.backlog.push({ timer, action });
      return;
    }
    action();
    this.waking = false;
  }

  private listener(incarnation: number): ElectionListener {
    return {
      acquired: (fence) => {
        if (incarnation !== this.incarnation)
          this.world.violation(`${this.identity}: a dead process acquired`);
        if (this.vip) this.world.violation(`${this.identity}: acquired twice`);
        this.world.note(this.identity, 'acquired');
        this.vip = true;
        this.fence = fence;
        this.tenures++;
      },
      lost: (reason: LossReason) => {
        if (!this.vip) this.world.violation(`${this.identity}: lost what it did not hold`);
        this.world.note(this.identity, `lost: ${reason}`);
        this.vip = false;
        this.fence = undefined;
      },
    };
  }

  private clock(): Clock {
    const { timeline, random } = this.world;
    const { rate, latenessMs } = this.options;
    const mine = this.incarnation;
    const started = timeline.now;
    const now = (): number => 1000 + (timeline.now - started) * rate;
    return {
      now,
      wall: () => 1.7e12 + timeline.now * rate,
      after: (name, ms, callback): Timer => {
        const late = latenessMs === 0 ? 0 : between(random, 0, latenessMs);
        let pending = true;
        const fire = (): void => {
          this.deliver(
            () => {
              if (pending) callback();
              pending = false;
            },
            true,
            mine,
          );
        };
        const off = timeline.in(ms / rate + late, fire);
        const cancel = (): void => {
          pending = false;
          off();
        };
        return { name, at: now() + ms, cancel };
      },
      sleep: () => Promise.reject(new Error('not used by elections')),
      timers: () => [],
    };
  }

  private store(): LeaseStore {
    const { lease } = this.world;
    const mine = this.incarnation;
    const deliver = (action: () => void): void => {
      this.deliver(action, false, mine);
    };
    const call = (operation: () => ReturnType<MemoryLease['read']>): ReturnType<LeaseStore['read']> => {
      this.calls++;
      return carry(this.world, this.path, deliver, operation);
    };
    const store: LeaseStore = {
      name: 'sim/lease',
      read: () => call(() => lease.read()),
      create: (record) => call(() => lease.create(record)),
      update: (base, record) => {
        if (record.holderIdentity === '' && this.vip) {
          this.world.violation(`${this.identity}: released the record before the VIP was gone`);
        }
        return call(() => lease.update(base.version, record));
      },
    };
    if (!this.options.watch) return store;
    return {
      ...store,
      watch: (onChange, signal) => {
        const { dead } = this;
        signal.addEventListener('abort', () => {
          dead.abort();
        });
        this.resyncWatch = carryWatch(this.world, this.path, deliver, onChange, dead.signal);
      },
    };
  }
}
