import type { Clock } from '../../lib/clock.ts';
import type { Mac } from '../../lib/ip.ts';
import { errnoOf, KernelError } from '../../linux/errors.ts';
import type { KernelOp, Link } from '../../linux/types.ts';
import type { FakeEvents } from './events.ts';

/** What the parts of the fake share. */
export interface FakeWorld {
  readonly clock: Clock;
  readonly events: FakeEvents;
  readonly links: Map<number, Link>;
  /** `net.ipv6.conf.eth0.disable_ipv6` and the like; absent means the kernel's default. */
  readonly sysctls: Map<string, string>;
}

export interface FakeLinkOptions {
  readonly name: string;
  readonly kind?: string;
  readonly mac?: Mac;
  readonly broadcast?: Mac;
  readonly mtu?: number;
  readonly hardwareType?: number;
  readonly master?: number;
  /** IFF_UP; true by default. */
  readonly up?: boolean;
  readonly carrier?: boolean;
  readonly index?: number;
}

export function refuse(op: KernelOp, errno: number, object: string, kernelText?: string): never {
  throw new KernelError({ op, errno, object, kernelText });
}

/** The link, or ENODEV. */
export function linkFor(world: FakeWorld, op: KernelOp, ifindex: number, object: string): Link {
  return world.links.get(ifindex) ?? refuse(op, errnoOf.ENODEV, object);
}

/** Up with carrier: packets can pass. */
export function isRunning(link: Link): boolean {
  return link.adminUp && link.carrier;
}

/** True when the setting is on for this link or for all of them. */
export function isSet(world: FakeWorld, family: 'ipv4' | 'ipv6', link: string, setting: string): boolean {
  return ['all', link.replaceAll('.', '/')].some(
    (name) => (world.sysctls.get(`net.${family}.conf.${name}.${setting}`) ?? '0') !== '0',
  );
}
