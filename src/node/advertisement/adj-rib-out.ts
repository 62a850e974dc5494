import { familyOf, formatPrefix, type Family, type Ip, type Prefix } from '../../lib/ip.ts';
import type { RoutesView } from './types.ts';

/** What has to be said to a peer so that it knows what is wanted. */
export interface RouteChange {
  readonly withdraw: readonly Prefix[];
  readonly advertise: readonly Prefix[];
}

/** RFC 4271 3.2: the routes that one peer has been told of in this session. */
export class AdjRibOut {
  private readonly sent = new Map<string, { readonly prefix: Prefix; readonly nextHop: Ip }>();

  /** A new session knows nothing. */
  clear(): void {
    this.sent.clear();
  }

  /** Of these prefixes: what the peer knows and should not, and what it should know and does not. */
  difference(prefixes: readonly Prefix[], view: Pick<RoutesView, 'wants'>): RouteChange {
    const withdraw: Prefix[] = [];
    const advertise: Prefix[] = [];
    for (const prefix of prefixes) {
      const isSent = this.sent.has(formatPrefix(prefix));
      const isWanted = view.wants(prefix);
      if (isSent && !isWanted) withdraw.push(prefix);
      if (isWanted && !isSent) advertise.push(prefix);
    }
    return { withdraw, advertise };
  }

  advertised(prefixes: readonly Prefix[], nextHop: Ip): void {
    for (const prefix of prefixes) this.sent.set(formatPrefix(prefix), { prefix, nextHop });
  }

  withdrawn(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.sent.delete(formatPrefix(prefix));
  }

  has(prefix: Prefix): boolean {
    return this.sent.has(formatPrefix(prefix));
  }

  /** The peer has asked for these again. */
  forget(family: Family): readonly Prefix[] {
    const forgotten = this.prefixes().filter(({ address }) => familyOf(address) === family);
    this.withdrawn(forgotten);
    return forgotten;
  }

  prefixes(): readonly Prefix[] {
    return [...this.sent.values()].map(({ prefix }) => prefix);
  }

  routes(): readonly { readonly prefix: Prefix; readonly nextHop: Ip }[] {
    return [...this.sent.values()];
  }
}
