import type { IpamObserver } from '../ipam/index.ts';
import type { EventRecorder } from '../kube/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Metrics } from '../observe/index.ts';

interface IpamNewsParts {
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Of the ConfigMap. */
  readonly place: { readonly namespace: string; readonly name: string };
  readonly good: Pick<EventRecorder, 'record'>;
  readonly bad: Pick<EventRecorder, 'record'>;
}

/** Turns what the assigner tells into metrics, Events and log lines. */
export function ipamNews({ metrics, log, place, good, bad }: IpamNewsParts): IpamObserver {
  return {
    notice: ({ key, metadata }, { type, reason, message }) => {
      if (type === 'Warning') log.warn(message, { service: key, reason });
      const { name = '', namespace = '', uid } = metadata;
      const subject = { apiVersion: 'v1', kind: 'Service', name, namespace };
      const recorder = type === 'Normal' ? good : bad;
      recorder.record({ subject: uid === undefined ? subject : { ...subject, uid }, type, reason, message });
    },
    poolProblem: ({ type, reason, message }) => {
      log.warn(message, { reason, configMap: `${place.namespace}/${place.name}` });
      bad.record({ subject: { apiVersion: 'v1', kind: 'ConfigMap', ...place }, type, reason, message });
    },
    assigned: () => {
      metrics.ipamAssigned.increment({});
    },
    refused: (reason) => {
      metrics.ipamRefused.increment({ reason });
    },
    writeFailed: (error) => {
      metrics.ipamWriteFailures.increment({ error });
    },
  };
}
