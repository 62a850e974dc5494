import type { WatchLease } from '../election/index.ts';
import { createReflector, leases, type Lease, type ReflectorStatus } from '../kube/index.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Api } from './api.ts';

/** There may be many, and elections read for themselves when they hear nothing. */
const LEASE_WATCH_SECONDS = 60;

type OnChange = Parameters<WatchLease>[0];

interface Tools {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Watches on single Leases that cost one watch for each namespace, however many Leases there are in it. */
export class LeaseWatches {
  private readonly api: Api;
  private readonly tools: Tools;
  private readonly byNamespace = new Map<string, NamespaceWatch>();

  constructor(api: Api, tools: Tools) {
    this.api = api;
    this.tools = tools;
  }

  watch(namespace: string, name: string): WatchLease {
    return (onChange, signal) => {
      if (signal.aborted) return;
      const watch = this.byNamespace.get(namespace) ?? this.open(namespace);
      watch.add(name, onChange);
      signal.addEventListener('abort', () => {
        if (!watch.remove(name, onChange)) return;
        watch.close();
        if (this.byNamespace.get(namespace) === watch) this.byNamespace.delete(namespace);
      });
    };
  }

  statuses(): readonly ReflectorStatus[] {
    return [...this.byNamespace.values()].map((watch) => watch.status());
  }

  private open(namespace: string): NamespaceWatch {
    const watch = new NamespaceWatch(this.api, this.tools, namespace);
    this.byNamespace.set(namespace, watch);
    return watch;
  }
}

class NamespaceWatch {
  private readonly listeners = new Map<string, Set<OnChange>>();
  private readonly abort = new AbortController();
  private readonly reflector;

  constructor(api: Api, tools: Tools, namespace: string) {
    this.reflector = createReflector<Lease>(
      { client: api.client, ...tools },
      {
        resource: leases,
        namespace,
        watchSeconds: LEASE_WATCH_SECONDS,
        listener: {
          synced: (items) => {
            for (const [name, listeners] of this.listeners) {
              // Absent from a list: its version is not told, so the election reads for itself.
              if (!items.has(`${namespace}/${name}`)) for (const tell of listeners) tell(undefined);
            }
          },
          changed: (_key, now) => {
            for (const tell of this.listeners.get(now.metadata.name ?? '') ?? []) tell(now);
          },
          removed: (_key, before) => {
            const { name = '', resourceVersion } = before.metadata;
            for (const tell of this.listeners.get(name) ?? []) tell(undefined, resourceVersion);
          },
        },
      },
    );
    void this.reflector.run(this.abort.signal);
  }

  add(name: string, onChange: OnChange): void {
    const known = this.listeners.get(name);
    if (known === undefined) this.listeners.set(name, new Set([onChange]));
    else known.add(onChange);
  }

  /** True when nobody listens any more. */
  remove(name: string, onChange: OnChange): boolean {
    const known = this.listeners.get(name);
    known?.delete(onChange);
    if (known?.size === 0) this.listeners.delete(name);
    return this.listeners.size === 0;
  }

  status(): ReflectorStatus {
    return this.reflector.status();
  }

  close(): void {
    this.abort.abort();
  }
}
