import { macFromBytes } from '../../lib/ip.ts';
import type { Link } from '../../linux/types.ts';
import type { FakeAddresses } from './addresses.ts';
import type { FakeRoutes } from './routes.ts';
import { isRunning, linkFor, type FakeLinkOptions, type FakeWorld } from './world.ts';

/** The links of the fake kernel, and what their changes do to the addresses and routes on them. */
export class FakeLinks {
  private readonly world: FakeWorld;
  private readonly addresses: FakeAddresses;
  private readonly routes: FakeRoutes;
  private nextIndex = 1;

  constructor(world: FakeWorld, addresses: FakeAddresses, routes: FakeRoutes) {
    this.world = world;
    this.addresses = addresses;
    this.routes = routes;
  }

  /** Of this name; a TypeError when there is none. */
  get(name: string): Link {
    const link = [...this.world.links.values()].find((candidate) => candidate.name === name);
    if (link === undefined) throw new TypeError(`the fake kernel has no link ${name}`);
    return link;
  }

  add(options: FakeLinkOptions): Link {
    const index = options.index ?? this.nextIndex;
    this.nextIndex = Math.max(this.nextIndex, index) + 1;
    const up = options.up ?? true;
    const link: Link = {
      index,
      name: options.name,
      hardwareType: options.hardwareType ?? 1,
      mac: options.mac ?? macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, index)),
      broadcast: options.broadcast ?? macFromBytes(new Uint8Array(6).fill(0xff)),
      mtu: options.mtu ?? 1500,
      adminUp: up,
      carrier: up && (options.carrier ?? true),
      operState: 'down',
      loopback: options.hardwareType === 772,
      kind: options.kind,
      master: options.master,
    };
    this.put(link, true);
    return this.get(options.name);
  }

  remove(name: string): void {
    const link = this.get(name);
    this.dropAllOn(link, true);
    this.world.links.delete(link.index);
    this.world.events.emit({
      kind: 'link',
      change: 'gone',
      link: { ...link, adminUp: false, carrier: false },
    });
  }

  recreate(name: string): Link {
    const { hardwareType, mac, broadcast, mtu, kind } = this.get(name);
    this.remove(name);
    return this.add({ name, hardwareType, mac, broadcast, mtu, ...(kind === undefined ? {} : { kind }) });
  }

  setDown(name: string): void {
    const link = this.get(name);
    this.change(name, { adminUp: false, carrier: false });
    this.dropAllOn(link, false);
  }

  change(name: string, changes: Partial<Link>): void {
    this.put({ ...this.get(name), ...changes }, false);
  }

  private put(wanted: Link, isNew: boolean): void {
    const operState = isRunning(wanted) ? (wanted.loopback ? 'unknown' : 'up') : 'down';
    const link: Link = { ...wanted, operState };
    const wasRunning = !isNew && isRunning(linkFor(this.world, 'find link', link.index, link.name));
    this.world.links.set(link.index, link);
    this.world.events.emit({ kind: 'link', change: 'set', link });
    if (isRunning(link) && !wasRunning) this.addresses.linkRunning(link, isNew);
  }

  private dropAllOn(link: Link, isGone: boolean): void {
    this.addresses.linkDown(link, isGone);
    this.routes.linkDown(link.index);
  }
}
