import { isAborted } from '../lib/abort.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock, Random } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Ip } from '../lib/ip.ts';
import { linksOfServices } from '../lib/links-of-services.ts';
import type { Logger } from '../lib/log.ts';
import type { Address, Kernel, KernelEvent, Link } from '../linux/types.ts';
import type { LocalChange, LocalView, OwnAddress } from './placement.ts';

export interface LocalLinksParts {
  readonly kernel: Pick<Kernel, 'links' | 'addresses' | 'watch'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * The links of this machine and its own addresses: those that are not deprecated, for every VIP is.
 * Follows the kernel; `changed` is told of links and own addresses that came or went, undefined: everything may be another.
 */
export class LocalLinks implements LocalView {
  private readonly parts: LocalLinksParts;
  private readonly links = new Map<number, Link>();
  private readonly own = new Map<string, Address>();
  /** The same, the oldest link first. */
  private ownInOrder: readonly Address[] | undefined;
  /** What happened since a dump began, which may be older. Undefined: none is under way. */
  private journal: KernelEvent[] | undefined;
  private changed: (change: LocalChange | undefined) => void = () => undefined;

  constructor(parts: LocalLinksParts) {
    this.parts = parts;
  }

  /** Resolves after the first dump; follows until the signal aborts. */
  async start(changed: (change: LocalChange | undefined) => void, signal: AbortSignal): Promise<void> {
    this.changed = changed;
    const hear = (event: KernelEvent): void => {
      this.journal?.push(event);
      if (event.kind !== 'resync') {
        const change = this.apply(event);
        if (change !== undefined) this.changed(change);
      } else if (this.journal === undefined) void this.dump(signal);
    };
    // What we set is no address of the machine's own.
    const watch = this.parts.kernel.watch(['link', 'address'], hear, { withoutEcho: true });
    signal.addEventListener('abort', () => {
      watch.close();
    });
    await this.dump(signal);
  }

  hasLink(name: string): boolean {
    for (const link of this.links.values()) if (link.name === name) return true;
    return false;
  }

  *ownAddresses(): IterableIterator<OwnAddress> {
    this.ownInOrder ??= [...this.own.values()].sort((a, b) => a.ifindex - b.ifindex);
    for (const { ifindex, address, prefixLength } of this.ownInOrder) {
      const link = this.links.get(ifindex)?.name;
      if (link !== undefined) yield { link, address, prefixLength };
    }
  }

  ownerOf(address: Ip): string | undefined {
    for (const own of this.ownAddresses()) if (own.address === address) return own.link;
    return undefined;
  }

  /** Undefined when nothing that counts here is another. */
  private apply(event: KernelEvent): LocalChange | undefined {
    if (event.kind === 'link') return this.applyLink(event.change, event.link);
    if (event.kind !== 'address') return undefined;
    const { address, change } = event;
    if (linksOfServices.has(this.links.get(address.ifindex)?.name ?? '')) return undefined;
    const id = `${address.ifindex} ${address.address}/${address.prefixLength}`;
    const isOwn = change !== 'gone' && !address.deprecated;
    if (isOwn === this.own.has(id)) return undefined;
    if (isOwn) this.own.set(id, address);
    else this.own.delete(id);
    this.ownInOrder = undefined;
    return { links: [], addresses: [address] };
  }

  private applyLink(change: 'set' | 'gone', link: Link): LocalChange | undefined {
    const before = this.links.get(link.index)?.name;
    const after = change === 'set' ? link.name : undefined;
    if (change === 'set') this.links.set(link.index, link);
    else this.links.delete(link.index);
    if (before === after) return undefined;
    return {
      links: [before, after].filter((name) => name !== undefined),
      addresses: [...this.own.values()].filter(({ ifindex }) => ifindex === link.index),
    };
  }

  private async dump(signal: AbortSignal): Promise<void> {
    const { kernel, clock, random, log } = this.parts;
    for (let attempt = 1; !isAborted(signal); attempt++) {
      const journal: KernelEvent[] = [];
      this.journal = journal;
      try {
        const links = await kernel.links();
        const addresses = await kernel.addresses();
        this.replace(links, addresses, journal);
        this.changed(undefined);
        if (journal.some(({ kind }) => kind === 'resync')) continue;
        this.journal = undefined;
        return;
      } catch (error) {
        log.warn('links cannot be listed, retrying', { error: messageOf(error) });
        await clock.sleep('services-links', backoffMs(attempt, { baseMs: 50, maxMs: 5000 }, random), signal);
      }
    }
  }

  private replace(
    links: readonly Link[],
    addresses: readonly Address[],
    journal: readonly KernelEvent[],
  ): void {
    this.links.clear();
    this.own.clear();
    this.ownInOrder = undefined;
    for (const link of links) this.apply({ kind: 'link', change: 'set', link });
    for (const address of addresses) this.apply({ kind: 'address', change: 'set', address });
    for (const event of journal) this.apply(event);
  }
}
