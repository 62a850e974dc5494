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
  const leases = new Map<string, LeaseNews>();
  const newsOf = (lease: string): LeaseNews => {
    const news = leases.get(lease) ?? createLeaseNews(metrics, lease);
    leases.set(lease, news);
    return news;
  };
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
      for (const reason of reconcileFailures)
        metrics.serviceReconcileErrors.remove({ namespace, name, reason });
    },
    electing: (key, lease) => {
      elections.electing(key, lease);
    },
    campaign: (lease, change, reason = '') => {
      if (change === 'acquired') newsOf(lease).acquired();
      if (change === 'ended') leases.delete(lease);
      if (change !== 'lost') return;
      newsOf(lease).lost(reason);
      if (reason === 'released' || reason === 'resigned') return;
      elections.lost(lease);
      onLoss(lease, reason);
    },
  };
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
