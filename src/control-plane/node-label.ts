import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { familyOf, type Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';

const HAS_IP_LABEL = 'kube-vip.io/has-ip';
/** Written by kube-vip for Services; removed on exit like the other. */
const SERVICE_LABEL = 'service-provided.kube-vip.io';

/** A label value for a VIP: dotted IPv4, or 32 hex digits, because a colon is not allowed in a label. */
export function labelValue(vip: Ip): string {
  if (familyOf(vip) === 4) return vip;
  return ipaddr
    .parse(vip)
    .toByteArray()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}

/** Label names and values have at most so many characters. */
const longest = 63;

/** The label that says that a node provides a Service; a name that is too long ends with a hash of it. */
export function serviceLabel(namespace: string, name: string): string {
  const full = `${name}.${namespace}`;
  const digest = createHash('sha256').update(full).digest('hex').slice(0, 8);
  const short = full.length <= longest ? full : `${full.slice(0, longest - 9).replace(/\W+$/, '')}-${digest}`;
  return `${SERVICE_LABEL}/${short}`;
}

/** Its value: the VIPs, joined by what a label may contain, as many as fit. */
export function serviceLabelValue(vips: readonly Ip[]): string {
  let value = '';
  for (const text of vips.map(labelValue)) {
    const longer = value === '' ? text : `${value}_${text}`;
    if (longer.length <= longest) value = longer;
  }
  return value;
}

/** Is this the label of a Service, and of this namespace where one is given? */
export function isServiceLabel(key: string, namespace: string): boolean {
  return key.startsWith(`${SERVICE_LABEL}/`) && (namespace === '' || key.endsWith(`.${namespace}`));
}

/** Sets (string) or removes (null) labels of this program's own Node. */
export type PatchLabels = (
  labels: Readonly<Record<string, string | null>>,
  signal: AbortSignal,
) => Promise<void>;

export interface NodeLabelsParts {
  readonly patch: PatchLabels;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Labels that are missing are written again after this long: what is seen of the Node is behind our own writes, and who
 * takes a label off each time is not answered at his pace.
 */
const restoreAfterMs = 1000;

/**
 * Keeps labels of a Node in step with what is wanted, in the background: nobody who takes or drops a
 * VIP waits for it, and a slow API server delays only the labels. Retries until the newest wish is
 * written; a wish that was replaced meanwhile is never written late.
 */
export class NodeLabels {
  private readonly parts: NodeLabelsParts;
  private readonly wanted = new Map<string, string | null>();
  /** What the API server has, as far as it is known: a predecessor may have left a label. */
  private readonly written = new Map<string, string | null>();
  private seen: Readonly<Record<string, string>> = {};
  private restoring: Timer | undefined;
  private working: Promise<void> | undefined;
  /** Told already. */
  private problem: string | undefined;
  private readonly stop = new AbortController();

  constructor(parts: NodeLabelsParts) {
    this.parts = parts;
  }

  /** The label's value from now on; null removes it. Returns at once. */
  set(key: string, value: string | null): void {
    if (this.wanted.get(key) === value) return;
    this.wanted.set(key, value);
    this.start();
  }

  /** The labels of the Node as it is now: one that was registered anew, or edited by hand, may lack some of ours. */
  see(labels: Readonly<Record<string, string>>): void {
    this.seen = labels;
    if (this.stop.signal.aborted || this.missing().length === 0) return;
    this.restoring ??= this.parts.clock.after('node-label-restore', restoreAfterMs, () => {
      this.restoring = undefined;
      for (const key of this.missing()) this.written.delete(key);
      this.start();
    });
  }

  /** The Node has this label already; it goes unless somebody wants it. */
  found(key: string, value: string): void {
    if (!this.written.has(key)) this.written.set(key, value);
    if (!this.wanted.has(key)) this.set(key, null);
  }

  /** Removes all labels that were set, waiting at most this long. */
  async close(budgetMs: number): Promise<void> {
    const timer = this.parts.clock.after('node-label-close', budgetMs, () => {
      this.stop.abort();
    });
    this.restoring?.cancel();
    for (const key of this.wanted.keys()) this.set(key, null);
    await this.working;
    timer.cancel();
    this.stop.abort();
  }

  private start(): void {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
  }

  private missing(): readonly string[] {
    const isMissing = ([key, value]: readonly [string, string | null]): boolean =>
      value !== null && this.seen[key] !== value;
    return [...this.wanted].filter(isMissing).map(([key]) => key);
  }

  private async work(): Promise<void> {
    for (let failures = 0; !this.stop.signal.aborted;) {
      const changes = this.changes();
      if (changes.length === 0) return;
      if (await this.attempt(Object.fromEntries(changes))) {
        for (const [key, value] of changes) this.wrote(key, value);
        failures = 0;
      } else {
        failures += 1;
        const waitMs = backoffMs(failures, { baseMs: 500, maxMs: 10_000 }, this.parts.random);
        await this.parts.clock.sleep('node-label-retry', waitMs, this.stop.signal);
      }
    }
  }

  private changes(): readonly (readonly [string, string | null])[] {
    return [...this.wanted].filter(([key, value]) => this.written.get(key) !== value);
  }

  private wrote(key: string, value: string | null): void {
    this.written.set(key, value);
    if (value !== null || this.wanted.get(key) !== null) return;
    this.wanted.delete(key);
    this.written.delete(key);
  }

  private async attempt(labels: Readonly<Record<string, string | null>>): Promise<boolean> {
    try {
      await this.parts.patch(labels, this.stop.signal);
      this.problem = undefined;
      return true;
    } catch (error) {
      const problem = messageOf(error);
      if (!this.stop.signal.aborted && problem !== this.problem)
        this.parts.log.warn('node label not written, trying again', { error: problem });
      this.problem = problem;
      return false;
    }
  }
}

/** The label of the control plane. */
export class NodeLabel {
  private readonly labels: NodeLabels;

  constructor(parts: NodeLabelsParts) {
    this.labels = new NodeLabels(parts);
  }

  /** Its value from now on; null removes it. Returns at once. */
  set(value: string | null): void {
    this.labels.set(HAS_IP_LABEL, value);
  }

  /** Removes our labels, waiting at most this long. */
  close(budgetMs: number): Promise<void> {
    this.set(null);
    this.labels.set(SERVICE_LABEL, null);
    return this.labels.close(budgetMs);
  }
}
