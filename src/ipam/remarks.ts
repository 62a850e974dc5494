import type { Clock, Timer } from '../lib/clock.ts';
import type { Notice, ServiceKey } from './types.ts';

interface Told {
  readonly text: string;
  readonly notice: Notice;
  readonly at: number;
}

/** The API server forgets an Event after an hour. */
const againMs = 1_800_000;
const reminderMs = 60_000;
/** Half of what an EventRecorder writes in that time, so that news find it free. */
const perReminder = 6;

/**
 * What the users of Services were told and has not changed since: each thing once, and again from time to time, the
 * longest ago first and a few at a time, however many there are.
 */
export class Remarks {
  private readonly clock: Clock;
  private readonly say: (key: ServiceKey, notice: Notice) => void;
  /** In the order in which it was told. */
  private readonly told = new Map<ServiceKey, Told>();
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(clock: Clock, say: (key: ServiceKey, notice: Notice) => void) {
    this.clock = clock;
    this.say = say;
  }

  /** Returns whether it was news. */
  tell(key: ServiceKey, notice: Notice): boolean {
    const text = `${notice.reason} ${notice.message}`;
    if (this.told.get(key)?.text === text) return false;
    this.enter(key, { text, notice, at: this.clock.now() });
    this.say(key, notice);
    this.arm();
    return true;
  }

  /** It is no longer so. */
  forget(key: ServiceKey): void {
    this.told.delete(key);
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private enter(key: ServiceKey, told: Told): void {
    this.told.delete(key);
    this.told.set(key, told);
  }

  private arm(): void {
    if (this.isClosed || this.timer !== undefined || this.told.size === 0) return;
    this.timer = this.clock.after('ipam-reminder', reminderMs, () => {
      this.timer = undefined;
      this.remind();
      this.arm();
    });
  }

  private remind(): void {
    const now = this.clock.now();
    for (const [key, told] of [...this.told].slice(0, perReminder)) {
      if (now - told.at < againMs) return;
      this.enter(key, { ...told, at: now });
      this.say(key, told.notice);
    }
  }
}
