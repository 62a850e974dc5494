import { familyOf } from '../../lib/ip.ts';
import type { KernelEvent, KernelEventKind, Subscription, WatchOptions } from '../../linux/types.ts';

interface Watcher {
  readonly kinds: ReadonlySet<string>;
  readonly withoutEcho: boolean;
  readonly onEvent: (event: KernelEvent) => void;
}

/** Hands events to watchers in order, on a later turn of the event loop, as the kernel's socket does. */
export class FakeEvents {
  private readonly watchers = new Set<Watcher>();
  private queue: { readonly watcher: Watcher; readonly event: KernelEvent }[] = [];
  private losing = false;
  private isOurs = false;

  watch(
    kinds: readonly KernelEventKind[],
    onEvent: (event: KernelEvent) => void,
    { withoutEcho = false }: WatchOptions = {},
  ): Subscription {
    const watcher: Watcher = { kinds: new Set([...kinds, 'resync']), withoutEcho, onEvent };
    this.watchers.add(watcher);
    return { close: () => void this.watchers.delete(watcher) };
  }

  get watcherCount(): number {
    return this.watchers.size;
  }

  emit(event: KernelEvent): void {
    if (this.losing) return;
    for (const watcher of this.watchers) {
      if (!watcher.kinds.has(event.kind)) continue;
      if (watcher.withoutEcho && this.isEcho(event)) continue;
      this.queue.push({ watcher, event });
      if (this.queue.length === 1) setImmediate(() => this.deliver());
    }
  }

  /** What `change` does is our own doing. */
  ours(change: () => void): void {
    this.isOurs = true;
    try {
      change();
    } finally {
      this.isOurs = false;
    }
  }

  private isEcho(event: KernelEvent): boolean {
    const isSet = event.kind === 'address' && event.change === 'set';
    return this.isOurs && isSet && familyOf(event.address.address) === 4;
  }

  /** What `during` changes is not reported; every watcher then gets `resync`, as after ENOBUFS. */
  lose(during: () => void): void {
    this.losing = true;
    try {
      during();
    } finally {
      this.losing = false;
      this.emit({ kind: 'resync' });
    }
  }

  private deliver(): void {
    const batch = this.queue;
    this.queue = [];
    for (const { watcher, event } of batch) {
      if (this.watchers.has(watcher)) watcher.onEvent(event);
    }
  }
}
