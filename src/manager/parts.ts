import { controlPlaneNames, type Config, type LoadedConfig, type Sources } from '../config/index.ts';
import type { NamedVips } from '../control-plane/index.ts';
import type { Clock, Random } from '../lib/clock.ts';
import type { Ip } from '../lib/ip.ts';
import type { Logger } from '../lib/log.ts';
import {
  connectTcp,
  openKernel,
  openUdpPath,
  resolveName,
  runBeforeOthers,
  type Link,
  type OpenKernel,
} from '../linux/index.ts';
import { createNode, createSpeaker, type Holding, type Node, type Speaker } from '../node/index.ts';
import {
  createMetrics,
  createNodeNews,
  type BalancerStatus,
  type Metrics,
  type NodeNews,
} from '../observe/index.ts';
import { openApi, type Api } from './api.ts';
import { ipsOf, openControlPlaneVips, resolveControlPlane } from './control-plane-vips.ts';
import { controlPlaneElection, type ControlPlaneElection } from './election.ts';
import { leaveNothing } from './forwarding.ts';
import { openGuards, type OpenGuards } from './guards.ts';
import type { IpamFeature } from './ipam.ts';
import { chooseLink } from './link.ts';
import { hasControlPlaneElection } from './mode.ts';
import { warnOfOwnAddresses } from './own-addresses.ts';
import { routesOf } from './routing-table.ts';
import { Urgency } from './urgency.ts';

/** Everything that is built once at start and closed once at the end. */
export interface Parts {
  readonly config: Config;
  /** Where each setting came from. */
  readonly sources: Sources;
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly news: NodeNews;
  readonly kernel: OpenKernel;
  readonly link: Link;
  readonly api: Api;
  readonly campaign: ControlPlaneElection;
  readonly node: Node;
  readonly urgency: Urgency;
  /** Undefined where no BGP is spoken. */
  readonly speaker: Speaker | undefined;
  readonly guards: OpenGuards | undefined;
  /** What parts that are built later tell the status document. */
  readonly reports: { balancer: (() => BalancerStatus) | undefined; ipam: IpamFeature | undefined };
  /** Those that come from names change. */
  readonly controlPlaneVips: NamedVips;
  /** Set once Services are handled: who else claims a VIP of theirs. */
  readonly claimListeners: Set<(vip: Ip, link: string, mac: string) => void>;
  /** Set once Services are handled: is it a VIP of one of them? */
  readonly claims: Set<(vip: Ip) => boolean>;
  /** Told when the node lets nothing reach a VIP, and when it does again. */
  readonly heldBackListeners: Set<(vip: Ip, by: Holding, problem: string | undefined) => void>;
}

type Listeners = Pick<Parts, 'claimListeners' | 'claims' | 'heldBackListeners'>;

/**
 * Builds the parts in the order of their needs: kernel, node, link, API client, election. The node has
 * made its first dump when this resolves, and names have VIPs; nothing has been changed yet. When a part cannot be built, VIPs that
 * a predecessor left are removed: the process may end like this over and over.
 */
export async function buildParts(
  { config, sources }: LoadedConfig,
  clock: Clock,
  log: Logger,
  signal: AbortSignal,
): Promise<Parts> {
  const random = Math.random;
  const identity = config.nodeName;
  log.info('using node name', { name: identity });
  const vips = openControlPlaneVips(config, { resolve: resolveName, clock, log });
  const listeners: Listeners = {
    claimListeners: new Set(),
    claims: new Set(),
    heldBackListeners: new Set(),
  };
  const metrics = createMetrics();
  const news = createNodeNews(metrics, clock);
  const kernel = openOwnKernel(clock, log, metrics);
  let campaign: ControlPlaneElection | undefined;
  const observer = observerOf(news, listeners, (vip, mac) => {
    if (vips.now().some((own) => own.vip === vip)) campaign?.election.recheck(`${mac} claims ${vip}`);
  });
  const guards = await openGuards(config, kernel, log);
  const guarding = guards === undefined ? {} : { guards };
  const linkIndex = (name: string): number | undefined => kernel.linkByName(name)?.index;
  const speaker = config.enableBgp
    ? createSpeaker({
        connect: connectTcp,
        openUdpPath: (options, onDatagram) => openUdpPath(kernel.poller, random, options, onDatagram),
        clock,
        random,
        log,
        linkIndex,
        onDecodeError: ({ protocol }) => {
          metrics.decodeErrors.increment({ protocol });
        },
      })
    : undefined;
  const speaking = speaker === undefined ? {} : { advertiser: speaker };
  const node = createNode(
    { kernel, clock, log, observer, ...guarding, ...speaking },
    {
      isClaimed: (vip) =>
        vips.now().some((own) => own.vip === vip) ||
        [...listeners.claims].some((isClaimed) => isClaimed(vip)),
      ...routesOf(config),
    },
  );
  await node.start();
  const built = { config, clock, log, kernel, node, controlPlaneVips: vips };
  try {
    await resolveControlPlane(vips, config, clock, signal);
    const link = await chooseLink(kernel, config, log);
    // A word to the operator, which no campaign waits for.
    if (hasControlPlaneElection(config)) void warnOfOwnAddresses(kernel, ipsOf(vips), log);
    const api = await openApi(config, [...vips.now().map(({ vip }) => vip), ...controlPlaneNames(config)], {
      clock,
      random,
      log,
    });
    const urgency = new Urgency({ clock, log, runFirst: runBeforeOthers });
    urgency.lastsWhile(() => node.isBusy());
    campaign = controlPlaneElection(config, identity, api, { clock, random, log, urgency });
    return {
      ...built,
      sources,
      identity,
      random,
      metrics,
      news,
      link,
      api,
      campaign,
      urgency,
      speaker,
      guards,
      reports: { balancer: undefined, ipam: undefined },
      ...listeners,
    };
  } catch (error) {
    await leaveNothing(built);
    vips.close();
    node.close();
    guards?.nftables.close();
    kernel.close();
    throw error;
  }
}

function openOwnKernel(clock: Clock, log: Logger, metrics: Metrics): OpenKernel {
  return openKernel({
    clock,
    onFallback: (reason) => {
      log.warn('the event loop does not report socket readiness, polling instead', { reason });
    },
    onDecodeError: ({ protocol }) => {
      metrics.decodeErrors.increment({ protocol });
    },
  });
}

/** The news of the node, told to those as well who are built later. */
function observerOf(
  news: NodeNews,
  { claimListeners, heldBackListeners }: Listeners,
  claimed: (vip: Ip, mac: string) => void,
) {
  return {
    ...news,
    secondClaimant: (vip: Ip, link: string, mac: string) => {
      news.secondClaimant(vip, link, mac);
      for (const tell of claimListeners) tell(vip, link, mac);
      claimed(vip, mac);
    },
    heldBack: (vip: Ip, by: Holding, problem: string | undefined) => {
      for (const tell of heldBackListeners) tell(vip, by, problem);
    },
  };
}

/** The reverse of `buildParts`. */
export function closeParts({ node, guards, api, kernel, controlPlaneVips, urgency }: Parts): void {
  urgency.close();
  controlPlaneVips.close();
  node.close();
  guards?.nftables.close();
  api.client.close();
  kernel.close();
}
