import type { EventRecorder } from '../kube/index.ts';
import type { Logger } from '../lib/log.ts';
import { createLeaseNews, type LeaseNews, type Metrics } from '../observe/index.ts';
import { reconcileFailures, type ServicesObserver } from '../services/index.ts';

/** Turns what the services operator tells into metrics, Events and log lines. */
export function servicesNews(
  metrics: Metrics,
  recorder: Pick<EventRecorder, 'record'>,
  log: Logger,
  globalLease: string,
  onLoss: (lease: string, reason: string) => void,
): ServicesObserver {
  const elections = new ElectionNews(metrics, globalLease);
  const active = new Map<string, number>();
  const leases = new ServiceLeases(metrics, globalLease);
  return {
    event: (type) => {
      metrics.serviceEvents.increment({ type });
    },
    advertising: (key, now) => {
      const { namespace } = split(key);
      const count = (active.get(namespace) ?? 0) + (now ? 1 : -1);
      if (count === 0) active.delete(namespace);
      else active.set(namespace, count);
      if (count === 0) metrics.activeServices.remove({ namespace });
      else metrics.activeServices.set({ namespace }, count);
    },
    notice: ({ metadata }, { type, reason, message }) => {
      const { name = '', namespace = '', uid } = metadata;
      log.warn(message, { service: `${namespace}/${name}`, reason });
      const subject = {
        apiVersion: 'v1',
        kind: 'Service',
        name,
        namespace,
        ...(uid === undefined ? {} : { uid }),
      };
      recorder.record({ subject, type, reason, message });
    },
    reconciled: (key, seconds, failure) => {
      const { namespace, name } = split(key);
      metrics.serviceReconcileDuration.observe({ namespace }, seconds);
      if (failure !== undefined)
        metrics.serviceReconcileErrors.increment({ namespace, name, reason: failure });
    },
    gone: (key) => {
      const { namespace, name } = split(key);
      elections.gone(key);
      leases.use(key, undefined);
      for (const reason of reconcileFailures)
        metrics.serviceReconcileErrors.remove({ namespace, name, reason });
    },
    electing: (key, lease) => {
      elections.electing(key, lease);
      // Who has none for now may have the same one again.
      if (lease !== undefined) leases.use(key, lease);
    },
    campaign: (lease, change, reason = '') => {
      if (change === 'acquired') leases.acquired(lease);
      if (change !== 'lost') return;
      leases.lost(lease, reason);
      if (reason === 'released' || reason === 'resigned') return;
      elections.lost(lease);
      onLoss(lease, reason);
    },
  };
}

/** What became of the leases, by the name that metrics show: it goes with the last Service that needs one of that name. */
class ServiceLeases {
  private readonly metrics: Metrics;
  private readonly globalLease: string;
  private readonly news = new Map<string, LeaseNews>();
  private readonly used = new Map<string, string>();
  private readonly users = new Map<string, Set<string>>();

  constructor(metrics: Metrics, globalLease: string) {
    this.metrics = metrics;
    this.globalLease = globalLease;
  }

  acquired(lease: string): void {
    this.newsOf(nameOf(lease)).acquired();
  }

  /** A lease that nobody needs any more is released last of all. */
  lost(lease: string, reason: string): void {
    const name = nameOf(lease);
    if (lease !== this.globalLease && !this.users.has(name)) this.forget(name);
    else this.newsOf(name).lost(reason);
  }

  /** The lease of this Service; undefined: it is gone. */
  use(key: string, lease: string | undefined): void {
    const before = this.used.get(key);
    const name = lease === undefined || lease === this.globalLease ? undefined : nameOf(lease);
    if (before === name) return;
    if (name === undefined) this.used.delete(key);
    else {
      this.used.set(key, name);
      this.users.set(name, (this.users.get(name) ?? new Set()).add(key));
    }
    if (before === undefined) return;
    const others = this.users.get(before);
    others?.delete(key);
    if (others?.size !== 0) return;
    this.users.delete(before);
    this.forget(before);
  }

  private newsOf(name: string): LeaseNews {
    const news = this.news.get(name) ?? createLeaseNews(this.metrics, name);
    this.news.set(name, news);
    return news;
  }

  private forget(name: string): void {
    if (name === nameOf(this.globalLease)) return;
    this.newsOf(name).forget();
    this.news.delete(name);
  }
}

/** Services of one name in two namespaces have leases of one name. */
function nameOf(lease: string): string {
  return lease.slice(lease.indexOf('/') + 1);
}

/** The elections for single Services, as kube-vip counts them. */
class ElectionNews {
  private readonly metrics: Metrics;
  private readonly globalLease: string;
  private readonly leases = new Map<string, string>();

  constructor(metrics: Metrics, globalLease: string) {
    this.metrics = metrics;
    this.globalLease = globalLease;
  }

  electing(key: string, lease: string | undefined): void {
    const own = lease === this.globalLease ? undefined : lease;
    if (this.leases.get(key) === own) return;
    const labels = split(key);
    if (own === undefined) {
      this.leases.delete(key);
      this.metrics.serviceElectionLoops.set(labels, 0);
      return;
    }
    this.leases.set(key, own);
    this.metrics.serviceElectionLoops.set(labels, 1);
    this.metrics.serviceElectionAttempts.increment(labels);
  }

  /** Tenure ended against the will of this node. */
  lost(lease: string): void {
    for (const [key, own] of this.leases)
      if (own === lease) this.metrics.serviceElectionErrors.increment({ ...split(key), reason: 'no_lease' });
  }

  gone(key: string): void {
    this.leases.delete(key);
    const labels = split(key);
    this.metrics.serviceElectionLoops.remove(labels);
    this.metrics.serviceElectionAttempts.remove(labels);
    this.metrics.serviceElectionErrors.remove({ ...labels, reason: 'no_lease' });
  }
}

function split(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
