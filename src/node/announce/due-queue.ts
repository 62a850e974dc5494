/** A place in the queue. */
export interface Due<T> {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly item: T;
}

type Place<T> = { -readonly [K in keyof Due<T>]: Due<T>[K] };

/**
 * More than the instants of a burst and the periods that there are. Only when thousands end their bursts, each at another
 * place in its period, there are more, and places are searched for.
 */
const maxRuns = 16;

/**
 * Items by the time at which they fall due, earliest first. What is pushed comes in order as a rule, for each period
 * and each instant of a burst on its own: so a few runs that are in order, instead of a heap that would look at a
 * dozen others for each item.
 */
export class DueQueue<T> {
  /** None is empty, and the first ends last. */
  private runs: Run<T>[] = [];

  get size(): number {
    return this.runs.reduce((sum, { size }) => sum + size, 0);
  }

  get earliest(): number | undefined {
    return this.next()?.first.at;
  }

  push(at: number, item: T): Due<T> {
    return this.enter({ at, item });
  }

  /** A place that was taken out before gets another time: at rest nothing is made anew, and nothing left to collect. */
  pushAgain(due: Due<T>, at: number): Due<T> {
    const place: Place<T> = due;
    place.at = at;
    return this.enter(place);
  }

  private enter(due: Due<T>): Due<T> {
    const run = this.runEndingBy(due.at);
    if (run !== undefined) run.append(due);
    else if (this.runs.length < maxRuns) this.runs.push(new Run(due));
    else this.runs[maxRuns - 1]?.insert(due);
    return due;
  }

  private runEndingBy(at: number): Run<T> | undefined {
    return this.runs.find(({ last }) => last.at <= at);
  }

  /** The earliest item and its time, if it falls due until then and may be taken. */
  popDue(until: number, mayTake: (due: Due<T>) => boolean = () => true): Due<T> | undefined {
    const run = this.next();
    if (run === undefined || run.first.at > until || !mayTake(run.first)) return undefined;
    const due = run.first;
    run.drop();
    if (run.size === 0) this.runs = this.runs.filter((other) => other !== run);
    return due;
  }

  clear(): void {
    this.runs = [];
  }

  private next(): Run<T> | undefined {
    let next = this.runs[0];
    if (next === undefined) return undefined;
    for (const run of this.runs) if (run.first.at < next.first.at) next = run;
    return next;
  }
}

/** Items in the order of their times. */
class Run<T> {
  private items: Due<T>[];
  /** Those before it are gone. */
  private head = 0;
  first: Due<T>;
  last: Due<T>;

  constructor(only: Due<T>) {
    this.items = [only];
    this.first = only;
    this.last = only;
  }

  get size(): number {
    return this.items.length - this.head;
  }

  /** Not before the last one. */
  append(due: Due<T>): void {
    this.items.push(due);
    this.last = due;
  }

  /** Wherever it belongs. */
  insert(due: Due<T>): void {
    const { head, items } = this;
    let [low, high] = [head, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((items[middle]?.at ?? Infinity) > due.at) high = middle;
      else low = middle + 1;
    }
    items.splice(low, 0, due);
    this.first = items[head] ?? due;
    this.last = items.at(-1) ?? due;
  }

  /** The first one goes. */
  drop(): void {
    this.head++;
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    this.first = this.items[this.head] ?? this.first;
  }
}
