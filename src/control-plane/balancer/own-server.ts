import { familyOf, type Family, type Ip } from '../../lib/ip.ts';
import { Probes, type ProbesParts } from './probes.ts';

export interface OwnServerOptions {
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  /** `refuses` has another answer. */
  readonly changed: () => void;
}

/** One that starts listens long before it is ready, and is to be found before the holder finds it ready. */
const REFUSED_INTERVAL_MS = 100;

/**
 * The API server of this node while another node holds the VIPs of direct return. When nobody listens here they
 * must leave `lo`: clients on this node, the kubelet above all, would be refused though all other API servers are
 * well. Nothing but a refusal counts: as long as it listens the holder may send connections here.
 */
export class OwnServer {
  private readonly options: OwnServerOptions;
  private readonly probes: Probes;
  private addresses: readonly Ip[] = [];
  private readonly refusing = new Set<Ip>();
  private isFollowing = false;

  constructor(parts: ProbesParts, options: OwnServerOptions) {
    this.options = options;
    this.probes = new Probes(parts, {
      intervalOf: (address) =>
        this.refusing.has(address)
          ? Math.min(REFUSED_INTERVAL_MS, options.probeIntervalMs)
          : options.probeIntervalMs,
      timeoutMs: options.probeTimeoutMs,
      tell: (address, { isRefused = false }) => {
        this.note(address, isRefused);
      },
    });
  }

  /** Where it is reached. */
  setAddresses(addresses: readonly Ip[]): void {
    this.addresses = addresses;
    const before = this.refusing.size;
    this.look();
    if (this.refusing.size !== before) this.options.changed();
  }

  /** Does another node hold the VIPs? Otherwise there is nothing to ask. */
  follow(isFollowing: boolean): void {
    this.isFollowing = isFollowing;
    this.look();
  }

  /** Nobody listens at any of its addresses of this family. */
  refuses(family: Family): boolean {
    const own = this.addresses.filter((address) => familyOf(address) === family);
    return own.length > 0 && own.every((address) => this.refusing.has(address));
  }

  lost(address: Ip): void {
    this.probes.lost(address);
  }

  private look(): void {
    const wanted = this.isFollowing ? this.addresses : [];
    for (const address of this.refusing) if (!wanted.includes(address)) this.refusing.delete(address);
    this.probes.want(wanted);
  }

  private note(address: Ip, isRefused: boolean): void {
    if (isRefused === this.refusing.has(address)) return;
    if (isRefused) this.refusing.add(address);
    else this.refusing.delete(address);
    this.options.changed();
  }
}
