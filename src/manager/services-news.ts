import type { EventRecorder } from '../kube/index.ts';
import type { Logger } from '../lib/log.ts';
import { createLeaseNews, type LeaseNews, type Metrics } from '../observe/index.ts';
import type { ServicesObserver } from '../services/index.ts';

/** Turns what the services operator tells into metrics, Events and log lines. */
export function servicesNews(
  metrics: Metrics,
  recorder: Pick<EventRecorder, 'record'>,
  log: Logger,
  onLoss: (lease: string, reason: string) => void,
): ServicesObserver {
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
      for (const reason of ['invalid_config', 'new_instance'])
        metrics.serviceReconcileErrors.remove({ namespace, name, reason });
    },
    campaign: (lease, change, reason = '') => {
      if (change === 'acquired') newsOf(lease).acquired();
      if (change === 'ended') leases.delete(lease);
      if (change !== 'lost') return;
      newsOf(lease).lost(reason);
      if (reason !== 'released' && reason !== 'resigned') onLoss(lease, reason);
    },
  };
}

function split(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
