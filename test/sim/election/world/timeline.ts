/** True time, which no node sees, and what is going to happen in it. */
export class Timeline {
  now = 0;
  private readonly heap: Entry[] = [];
  private order = 0;

  /** Runs `action` in `ms` of true time; the returned function calls it off. */
  in(ms: number, action: () => void): () => void {
    const entry: Entry = { at: this.now + Math.max(0, ms), order: this.order++, action };
    this.heap.push(entry);
    this.up(this.heap.length - 1);
    return () => {
      entry.action = undefined;
    };
  }

  /** The time of the next entry, and the entry, without running it. */
  next(): { readonly at: number; run(): void } | undefined {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined) return undefined;
      this.pop();
      if (first.action !== undefined) return { at: first.at, run: first.action };
    }
  }

  private pop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    this.down(0);
  }

  private up(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  private down(index: number): void {
    for (;;) {
      const left = index * 2 + 1;
      const right = left + 1;
      if (left >= this.heap.length) return;
      const child = right < this.heap.length && this.earlier(right, left) ? right : left;
      if (!this.swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  private earlier(a: number, b: number): boolean {
    const x = this.heap[a];
    const y = this.heap[b];
    return x !== undefined && y !== undefined && (x.at < y.at || (x.at === y.at && x.order < y.order));
  }

  private swapIfEarlier(a: number, b: number): boolean {
    const x = this.heap[a];
    const y = this.heap[b];
    if (x === undefined || y === undefined || !this.earlier(a, b)) return false;
    this.heap[a] = y;
    this.heap[b] = x;
    return true;
  }
}

interface Entry {
  readonly at: number;
  readonly order: number;
  action: (() => void) | undefined;
}
