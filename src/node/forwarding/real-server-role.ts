import { messageOf } from '../../lib/errors.ts';
import { familyOf, hostLength, type Ip } from '../../lib/ip.ts';
import { linksOfServices } from '../../lib/links-of-services.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { NftTable, ObservedTable } from '../../linux/index.ts';
import type { Address, Kernel, Subscription } from '../../linux/types.ts';
import { observedOf, planTables } from './nftables/plan.ts';
import { rule, verdict } from './nftables/expressions.ts';
import { roleTable } from './nftables/refusals.ts';
import { l3Of } from './nftables/service.ts';
import type { ForwardingKernel, Shared } from './ports.ts';
import type { ForwardingState, RealServerRoleSpec } from './types.ts';

/** IFA_PROTO of a VIP that this node serves but does not hold: another mark than that of held ones. */
export const ROLE_PROTOCOL = 249;
const LOOPBACK = 1;
export const TABLE = 'kube-vip-role';
/** Where the settings of before are kept while ours are in force, so that a successor can put them back. */
const NOTES_CHAIN = 'settings_before';

/**
 * Answer ARP only on the link that has the address, and never name an address of another link as the
 * sender: nobody on the wire learns that the VIP is on `lo` here (LVS HOWTO, "The ARP problem"). IPv6
 * needs no such thing: neighbour discovery answers only for addresses of the link itself.
 */
const settings: readonly (readonly [string, string])[] = [
  ['net.ipv4.conf.all.arp_ignore', '1'],
  ['net.ipv4.conf.all.arp_announce', '2'],
];

/** Makes this node a real server of direct-return VIPs, and takes it all back. */
export class RealServerRole {
  private readonly kernel: Kernel;
  private readonly nftables: ForwardingKernel['nftables'];
  private readonly shared: Shared;
  private wanted: readonly RealServerRoleSpec[] | undefined;
  private before = new Map<string, string>();
  private present = new Map<Ip, Address>();
  /** As far as we know. */
  private tables: readonly ObservedTable[] = [];
  private subscription: Subscription | undefined;
  private problem: string | undefined;

  constructor(ports: Pick<ForwardingKernel, 'kernel' | 'nftables'> & { readonly shared: Shared }) {
    this.kernel = ports.kernel;
    this.nftables = ports.nftables;
    this.shared = ports.shared;
  }

  /** Finds what a predecessor left. */
  async start(): Promise<void> {
    this.subscription = this.kernel.watch(['address'], (event) => {
      if (event.kind === 'resync') void this.look().then(() => this.repair());
      else if (event.kind === 'address') this.heard(event.change, event.address);
    });
    await this.look();
    const notes = this.tables.flatMap(({ chains }) => chains).find(({ name }) => name === NOTES_CHAIN);
    for (const note of notes?.rules ?? []) {
      const match = /^(\S+)=(\S+) /.exec(note);
      if (match !== null) this.before.set(match[1] ?? '', match[2] ?? '');
    }
  }

  apply(specs: readonly RealServerRoleSpec[]): void {
    this.wanted = specs;
    this.reconcile();
  }

  async check(): Promise<void> {
    await this.look();
    this.repair();
  }

  stateOf({ vip, isListening }: RealServerRoleSpec): ForwardingState {
    if (this.problem !== undefined) return { state: 'failed', reason: this.problem };
    const isReady = this.present.has(vip) === isListening;
    return isReady ? { state: 'ready' } : { state: 'waiting', reason: 'reading the kernel' };
  }

  stop(): void {
    this.subscription?.close();
  }

  private async look(): Promise<void> {
    const addresses = await this.kernel.addresses();
    this.present = new Map(addresses.filter(isRoleAddress).map((each) => [each.address, each]));
    this.tables = (await this.nftables?.read(TABLE, [])) ?? [];
  }

  private onLo(): readonly Ip[] {
    return (this.wanted ?? []).flatMap(({ vip, isListening }) => (isListening ? vip : []));
  }

  private heard(change: 'set' | 'gone', address: Address): void {
    if (!isRoleAddress(address)) return;
    if (change === 'set') this.present.set(address.address, address);
    else this.present.delete(address.address);
    if (change === 'gone') this.repair();
  }

  private repair(): void {
    const missing = this.onLo().filter((vip) => !this.present.has(vip));
    this.reconcile();
    if (missing.length === 0 || this.problem !== undefined) return;
    this.shared.counters.repairs++;
    this.shared.log.warn('a VIP vanished from lo, it is back', { vip: missing.join(', ') });
    for (const vip of missing) this.shared.observer.repaired?.(`${vip} on lo`);
  }

  /** The settings before the first address, and back after the last one. */
  private reconcile(): void {
    if (this.wanted === undefined) return;
    const wanted = this.onLo();
    try {
      if (wanted.some((vip) => familyOf(vip) === 4)) this.quieten();
      this.writeTables();
      for (const vip of wanted) if (!this.present.has(vip)) this.add(vip);
      for (const vip of this.present.keys()) if (!wanted.includes(vip)) this.remove(vip);
      if (!wanted.some((vip) => familyOf(vip) === 4)) this.restore();
      this.problem = undefined;
    } catch (error) {
      this.problem = messageOf(error);
      this.shared.counters.failures++;
      this.shared.log.warn('this node cannot serve a direct-return VIP', { error: this.problem });
      this.shared.observer.failed?.('real server role', error);
    }
  }

  private add(vip: Ip): void {
    this.kernel.setAddress({
      ifindex: LOOPBACK,
      address: vip,
      prefixLength: hostLength(vip),
      scope: 'global',
      validLifetime: undefined,
      // Never a source address by itself.
      preferredLifetime: 0,
      noDad: true,
      broadcast: undefined,
      protocol: ROLE_PROTOCOL,
    });
    this.shared.counters.changes++;
    this.present.set(vip, roleAddress(vip));
  }

  private remove(vip: Ip): void {
    try {
      this.kernel.removeAddress(LOOPBACK, vip, hostLength(vip));
      this.shared.counters.changes++;
    } catch (error) {
      if (!isKernelError(error, 'gone')) throw error;
    }
    this.present.delete(vip);
  }

  private quieten(): void {
    const loud = settings.filter(([name, value]) => this.kernel.readSysctl(name) !== value);
    if (loud.length === 0) return;
    for (const [name] of loud)
      if (!this.before.has(name)) this.before.set(name, this.kernel.readSysctl(name));
    this.writeTables();
    for (const [name, value] of loud) this.kernel.writeSysctl(name, value);
  }

  private restore(): void {
    if (this.before.size === 0) return;
    for (const [name, value] of this.areWantedByOthers() ? [] : settings) {
      const before = this.before.get(name);
      // Somebody who has set another value meanwhile knows better.
      if (before !== undefined && this.kernel.readSysctl(name) === value)
        this.kernel.writeSysctl(name, before);
    }
    this.before.clear();
    this.writeTables();
  }

  /** By kube-proxy (strict ARP) for the VIPs that it has on every node: it finds them as it likes them and looks no more. */
  private areWantedByOthers(): boolean {
    return [...linksOfServices].some((name) => this.kernel.linkByName(name) !== undefined);
  }

  /** What differs, in one batch. */
  private writeTables(): void {
    if (this.nftables === undefined) return;
    const desired = this.desiredTables();
    const steps = planTables(desired, this.tables);
    if (steps.length === 0) return;
    this.nftables.commit(steps);
    this.tables = observedOf(desired);
  }

  /** The settings of before are rules that do nothing but carry a comment. Without nf_tables this process alone remembers. */
  private desiredTables(): readonly NftTable[] {
    const vips = (this.wanted ?? []).map(({ vip }) => vip);
    const notes = [...this.before].map(([name, value]) => rule(`${name}=${value}`, verdict('return')));
    return (['ip', 'ip6'] as const).flatMap((family): readonly NftTable[] => {
      const table = roleTable(
        family,
        TABLE,
        vips.filter((vip) => l3Of(vip) === family),
      );
      const chains = family === 'ip' && notes.length > 0 ? [{ name: NOTES_CHAIN, rules: notes }] : [];
      if (table === undefined && chains.length === 0) return [];
      return [{ family, name: TABLE, sets: [], ...table, chains: [...(table?.chains ?? []), ...chains] }];
    });
  }
}

function isRoleAddress({ ifindex, protocol }: Address): boolean {
  return ifindex === LOOPBACK && protocol === ROLE_PROTOCOL;
}

function roleAddress(vip: Ip): Address {
  return {
    ifindex: LOOPBACK,
    address: vip,
    prefixLength: hostLength(vip),
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: 0,
    deprecated: true,
    tentative: false,
    dadFailed: false,
    noDad: true,
    permanent: false,
    broadcast: undefined,
    protocol: ROLE_PROTOCOL,
  };
}
