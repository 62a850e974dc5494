import type { Fence } from '../../../src/lib/fence.ts';
import { familyOf, ip, macFromBytes, type Ip, type Mac } from '../../../src/lib/ip.ts';
import { createNode, type Node, type NodeOptions, type Spec } from '../../../src/node/index.ts';
import type { AddressSpec, AnnouncementSpec, Tally } from '../../../src/node/types.ts';
import { decodeArpFrame, decodeNdpFrame } from '../../../src/protocols/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { loggerTo } from '../../../src/testing/logger.ts';

export interface Scene {
  readonly kernel: FakeKernel;
  readonly clock: FakeClock;
  readonly node: Node;
  /** `level message vip` of each line, oldest first. */
  readonly logged: string[];
  /** What the observer was told. */
  readonly news: string[];
  /** Frames of each VIP, as the observer counts them. */
  readonly tallies: ReadonlyMap<string, Tally>;
  /** Frames sent so far as text, and forgets them. */
  readonly sent: () => string[];
  /** Addresses with our mark, as `ip -o addr` prints them. */
  readonly marked: () => string;
  /** Another node of the same process image on the same kernel: a restart. */
  readonly restart: (options?: NodeOptions) => Promise<Node>;
}

/** A fake kernel with `eth0`, and a node that has made its first dump. */
export async function scene(
  setUp: (kernel: FakeKernel, clock: FakeClock) => void = () => undefined,
  options: NodeOptions = {},
): Promise<Scene> {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  setUp(kernel, clock);
  const logged: string[] = [];
  const news: string[] = [];
  const tallies = new Map<string, Tally>();
  const log = loggerTo((level, message, { vip }) => {
    logged.push(`${level} ${message}${typeof vip === 'string' ? ` ${vip}` : ''}`);
  });
  const components = {
    kernel,
    clock,
    log,
    observer: {
      addressReady: (vip: Ip, link: string) => news.push(`ready ${vip} ${link}`),
      addressRestored: (vip: Ip, link: string) => news.push(`restored ${vip} ${link}`),
      addressFailed: (vip: Ip, link: string) => news.push(`failed ${vip} ${link}`),
      framesSent: (vip: Ip) => {
        const tally = { value: 0 };
        tallies.set(vip, tally);
        return tally;
      },
      notAnnounced: (vip: Ip, link: string, why: string) => news.push(`${why} ${vip} ${link}`),
      secondClaimant: (vip: Ip, link: string, mac: Mac) => news.push(`claimant ${vip} ${link} ${mac}`),
    },
  };
  const node = createNode(components, options);
  await node.start();
  let seen = 0;
  return {
    kernel,
    clock,
    node,
    logged,
    news,
    tallies,
    sent: () => {
      const fresh = kernel.frames.slice(seen);
      seen = kernel.frames.length;
      return fresh.map(({ at, link, frame }) => `${at} ${link} ${describe(frame)}`);
    },
    marked: () => kernel.showAddresses({ protocol: 248 }),
    restart: async (changed = options) => {
      node.close();
      const next = createNode(components, changed);
      await next.start();
      return next;
    },
  };
}

function describe(frame: Uint8Array): string {
  if (frame[12] === 0x08) {
    const { packet } = decodeArpFrame(frame, 1);
    return `arp ${packet.operation === 1 ? 'request' : 'reply'} ${packet.senderIp} is ${packet.senderMac}`;
  }
  const { source, message } = decodeNdpFrame(frame, 1);
  return `na ${message.target} from ${source}`;
}

export function addressOf(vip: string, more: Partial<AddressSpec> = {}): AddressSpec {
  const parsed = ip(vip);
  return {
    kind: 'address',
    vip: parsed,
    prefixLength: familyOf(parsed) === 4 ? 32 : 128,
    link: 'eth0',
    scope: 'global',
    validLifetime: undefined,
    noDad: false,
    ...more,
  };
}

export function announcementOf(vip: string, more: Partial<AnnouncementSpec> = {}): AnnouncementSpec {
  return { kind: 'announcement', vip: ip(vip), link: 'eth0', periodMs: 3000, ...more };
}

/** What a holder of this VIP publishes. */
export function both(vip: string, fence?: Fence): readonly Spec[] {
  const fenced = fence === undefined ? {} : { fence };
  return [addressOf(vip, fenced), announcementOf(vip, fenced)];
}

/** How a kube-vip that sets no mark leaves a VIP behind. */
export function putUnmarkedVip(kernel: FakeKernel, link: string, vip: string, prefixLength: number): void {
  kernel.putAddress(link, vip, prefixLength, { preferredLifetime: 0 });
}

export function macOf(last: number): Mac {
  return macFromBytes(Uint8Array.of(2, 0xbb, 0, 0, 0, last));
}
