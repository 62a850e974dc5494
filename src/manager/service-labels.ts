import { isServiceLabel, NodeLabels, serviceLabel, serviceLabelValue } from '../control-plane/index.ts';
import { nodes, type NodeObject } from '../kube/index.ts';
import { isAborted } from '../lib/abort.ts';
import { backoffMs } from '../lib/backoff.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import type { Parts } from './parts.ts';

/** How long a node that starts has to take its Services up again before their old labels go. */
const GRACE_MS = 5000;

/** The labels of this node that name the Services it provides. */
export class ServiceLabels {
  private readonly parts: Parts;
  private readonly labels: NodeLabels;

  constructor(parts: Parts) {
    const { api, identity, clock, random, log } = parts;
    this.parts = parts;
    this.labels = new NodeLabels({
      patch: async (labels, signal) => {
        await api.client.patch(nodes, { name: identity }, 'merge', { metadata: { labels } }, { signal });
      },
      clock,
      random,
      log,
    });
  }

  provides(key: string, vips: readonly Ip[]): void {
    const slash = key.indexOf('/');
    const label = serviceLabel(key.slice(0, slash), key.slice(slash + 1));
    this.labels.set(label, vips.length === 0 ? null : serviceLabelValue(vips));
  }

  /** The labels that our Node has now. */
  see(labels: Readonly<Record<string, string>>): void {
    this.labels.see(labels);
  }

  /** Removes what a crashed predecessor left; which labels are whose, only a namespace tells. */
  async clean(signal: AbortSignal): Promise<void> {
    const { api, identity, clock, config, random, log } = this.parts;
    const { instanceName, serviceNamespace } = config;
    if (instanceName !== '' && serviceNamespace === '') return;
    await clock.sleep('node-labels-left', GRACE_MS, signal);
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const { metadata } = await api.client.get<NodeObject>(nodes, { name: identity }, { signal });
        for (const [key, value] of Object.entries(metadata.labels ?? {}))
          if (isServiceLabel(key, serviceNamespace)) this.labels.found(key, value);
        return;
      } catch (error) {
        if (attempt === 1 && !isAborted(signal))
          log.warn('labels of this node cannot be read, trying again', { error: messageOf(error) });
        await clock.sleep(
          'node-labels-read',
          backoffMs(attempt, { baseMs: 500, maxMs: 30_000 }, random),
          signal,
        );
      }
    }
  }

  close(budgetMs: number): Promise<void> {
    return this.labels.close(budgetMs);
  }
}
