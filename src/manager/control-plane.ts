import type { Config } from '../config/index.ts';
import {
  ControlPlane,
  labelValue,
  NodeLabel,
  runHealthGate,
  StandAside,
  watchLinkGate,
  type ControlPlaneOptions,
} from '../control-plane/index.ts';
import { nodes } from '../kube/index.ts';
import { openRuleCounters } from '../linux/index.ts';
import { actOnHealth, healthCheck } from './health.ts';
import { openBalancer } from './balancer.ts';
import { runEveryNode } from './bgp.ts';
import { openDhcp } from './dhcp.ts';
import { ipsOf } from './control-plane-vips.ts';
import { hasControlPlaneElection } from './mode.ts';
import { ownLeftovers } from './own-leftovers.ts';
import type { Parts } from './parts.ts';
import { watchRefusals } from './refusals.ts';
import { runRoutingTable } from './routing-table.ts';

/** Total time that a stopping process may spend on anything but the removal of VIPs: half a kubelet's grace period. */
const STOP_BUDGET_MS = 15_000;
/** SVC-34: ten seconds after the signal no address is left, the last node's preserved one included. */
const PRESERVE_BUDGET_MS = 8_000;

export interface ControlPlaneWiring extends Parts {
  /** A tenure began (undefined) or ended (the reason). */
  readonly onTenure: (lost: string | undefined) => void;
  readonly onHolder: (holder: string) => void;
}

/** Runs the control-plane feature until the signal aborts; afterwards its VIPs, routes, label and lease are gone. */
export function runControlPlane(wiring: ControlPlaneWiring, signal: AbortSignal): Promise<void> {
  const { config } = wiring;
  if (config.enableBgp && !hasControlPlaneElection(config)) return runEveryNode(wiring, signal);
  if (!config.enableRoutingTable) return runElected(wiring, signal);
  const onChecked = (): void => {
    wiring.onHolder('');
  };
  return runRoutingTable({ ...wiring, onChecked }, signal);
}

/** The holder of the lease has the VIPs. */
async function runElected(wiring: ControlPlaneWiring, signal: AbortSignal): Promise<void> {
  const { config, clock, log, campaign, node } = wiring;
  const vips = wiring.controlPlaneVips;
  const options = optionsFrom(wiring);
  // As kube-vip words it: people look for this line.
  const [namespace, lock] = campaign.store.name.split('/');
  log.info('cluster membership', { namespace, lock, id: wiring.identity });
  const label = config.enableNodeLabeling ? nodeLabel(wiring) : undefined;
  let isHeld = false;
  const setLabel = (): void => {
    const [first] = vips.now();
    label?.set(isHeld && first !== undefined ? labelValue(first.vip) : null);
  };
  setLabel();
  const balancer = await openBalancer(wiring, wiring.sources, signal);
  const plane = new ControlPlane(
    {
      node,
      sweep: () => {
        node.sweep(ownLeftovers(ipsOf(vips), options.link));
        balancer?.settle();
      },
      election: campaign.election,
      readHolder: async () => {
        const call = { timeoutMs: 2000, signal: AbortSignal.timeout(2000) };
        return (await campaign.store.read(call)).record.holderIdentity;
      },
      identity: wiring.identity,
      clock,
      log,
      observer: {
        holding: (held) => {
          if (held) balancer?.activate();
          else balancer?.deactivate();
          isHeld = held;
          setLabel();
          if (!held) return;
          dhcp.start();
          wiring.onTenure(undefined);
        },
        holder: wiring.onHolder,
        lost: (reason) => {
          // What is preserved on this node is not free for others.
          dhcp.stop(reason === 'released' && !options.preserve);
          wiring.onTenure(reason);
        },
      },
    },
    options,
  );
  const dhcp = openDhcp(wiring);
  const leave = vips.follow(() => {
    plane.setVips(vips.now());
    setLabel();
  });
  const gates = startGates(wiring, plane, signal);
  const refusals =
    balancer === undefined
      ? undefined
      : watchRefusals({ ...wiring, counters: openRuleCounters(wiring.kernel.poller) });
  try {
    await plane.run(signal);
  } finally {
    leave();
    gates.close();
    refusals?.close();
    await balancer?.close();
    await label?.close(STOP_BUDGET_MS);
  }
}

function optionsFrom({ config, controlPlaneVips, link: { name: link } }: Parts): ControlPlaneOptions {
  return {
    vips: controlPlaneVips.now(),
    leaseDurationMs: config.leaseDuration * 1000,
    link,
    scope: link === 'lo' && !config.loInterfaceGlobalScope ? 'host' : 'global',
    noDad: config.skipDad,
    reach: config.enableBgp ? 'bgp' : 'layer2',
    announcePeriodMs: config.arpBroadcastRate,
    preserve: config.preserveVipOnLeadershipLoss && config.enableArp,
    expire: config.expireVipWithLease && config.enableArp,
    preserveStopBudgetMs: PRESERVE_BUDGET_MS,
    leftoverGraceMs: 1000,
  };
}

/** What makes a node step back although its lease is fine: a dead link, a dead local API server. */
function startGates(wiring: ControlPlaneWiring, plane: ControlPlane, signal: AbortSignal): { close(): void } {
  const { config, clock, log, campaign, kernel, link } = wiring;
  const check = healthCheck(config);
  const unhealthy = new StandAside(campaign.election, clock);
  const cutOff = new StandAside(campaign.election, clock);
  if (check !== undefined) {
    // Layer 2 gives a node that says nothing yet the benefit of the doubt; BGP peers hear of healthy ones only.
    const startsClosed = config.enableBgp;
    const tell = (isHealthy: boolean): void => {
      if (config.enableBgp) plane.setHealthy(isHealthy);
    };
    tell(false);
    const aside = unhealthy;
    const { probe, listener } = actOnHealth({ check, isLayer2: config.enableArp, aside, clock, log, tell });
    void runHealthGate(probe, { ...check.gate, startsClosed }, listener, clock, signal);
  }
  const linkGate = watchLinkGate(
    kernel,
    clock,
    { name: link.name, downMs: mayBeDownMs(config) },
    {
      down: (why) => {
        cutOff.from(why);
      },
      up: (name) => {
        cutOff.over();
        log.info('link is up again', { link: name });
      },
    },
  );
  return {
    close: () => {
      linkGate.close();
      cutOff.over();
      unhealthy.over();
    },
  };
}

/** How long a link may be down, milliseconds; undefined: for ever. */
export function mayBeDownMs(config: Config): number | undefined {
  return config.loseLeadership ? config.loseLeadershipTimeoutSeconds * 1000 : undefined;
}

function nodeLabel({ api, identity, clock, random, log }: ControlPlaneWiring): NodeLabel {
  return new NodeLabel({
    patch: async (labels, signal) => {
      await api.client.patch(nodes, { name: identity }, 'merge', { metadata: { labels } }, { signal });
    },
    clock,
    random,
    log,
  });
}
