import { allPeers, type Config } from '../config/index.ts';
import {
  EveryNode,
  planSpeaker,
  readBgpAnnotations,
  runHealthGate,
  type BgpAnnotations,
} from '../control-plane/index.ts';
import { createReflector, nodes, type KubeObject } from '../kube/index.ts';
import type { SpeakerOptions } from '../node/types.ts';
import { openBalancer } from './balancer.ts';
import { StartError } from './errors.ts';
import { healthCheck } from './health.ts';
import { ipsOf } from './control-plane-vips.ts';
import { ownLeftovers } from './own-leftovers.ts';
import type { Parts } from './parts.ts';

export interface EveryNodeWiring extends Parts {
  /** From now on the process is ready. */
  readonly onHolder: (holder: string) => void;
}

/**
 * Keeps the BGP sessions of the configuration while `body` runs. Where Node annotations hold a part of it, waits
 * for them first, without limit; when the signal aborts meanwhile, `body` never runs.
 *
 * @throws StartError when the configuration and the node together do not make a speaker.
 */
export async function withSessions(
  parts: Parts,
  signal: AbortSignal,
  body: () => Promise<void>,
): Promise<void> {
  const { speaker } = parts;
  if (speaker === undefined) return body();
  const options = await speakerOptions(parts, signal);
  if (options === undefined) return;
  speaker.start(options);
  try {
    await body();
  } finally {
    await speaker.stop();
  }
}

/**
 * Runs the control plane of BGP mode without election: each node has the VIPs and advertises them while its
 * API server is healthy. Afterwards they are gone, first from the peers, then from the node.
 *
 * @throws HealthCaError when the CA file of the health check cannot be used.
 */
export async function runEveryNode(wiring: EveryNodeWiring, signal: AbortSignal): Promise<void> {
  const { clock, config, link, log, node, speaker } = wiring;
  const vips = wiring.controlPlaneVips;
  const check = healthCheck(config);
  const balancer = await openBalancer(wiring, wiring.sources, signal);
  const plane = new EveryNode(
    {
      node,
      sweep: () => node.sweep(ownLeftovers(ipsOf(vips), link.name)),
      endSessions: () => speaker?.stop() ?? Promise.resolve(),
      log,
    },
    {
      vips: vips.now(),
      link: link.name,
      scope: link.name === 'lo' && !config.loInterfaceGlobalScope ? 'host' : 'global',
      noDad: config.skipDad,
    },
    check === undefined,
  );
  if (check !== undefined) {
    const listener = {
      closed: (why: string) => {
        plane.setHealthy(false, why);
      },
      reopened: () => {
        plane.setHealthy(true);
      },
    };
    void runHealthGate(check.probe, { ...check.gate, startsClosed: true }, listener, clock, signal);
  }
  const leave = vips.follow(() => {
    plane.setVips(vips.now());
  });
  balancer?.activate();
  wiring.onHolder('');
  try {
    await plane.run(signal);
  } finally {
    leave();
    await balancer?.close();
  }
}

/** Undefined: the signal aborted before the Node annotations were complete. */
async function speakerOptions(parts: Parts, signal: AbortSignal): Promise<SpeakerOptions | undefined> {
  const { config, kernel, link, log } = parts;
  refuseUnbuilt(config);
  let annotations: BgpAnnotations | undefined;
  if (config.annotations !== '') {
    annotations = await awaitAnnotations(parts, signal);
    if (annotations === undefined) return undefined;
  }
  const surroundings = {
    links: await kernel.links(),
    addresses: await kernel.addresses(),
    link: link.name,
  };
  const plan = planSpeaker(config, allPeers(config), annotations, surroundings);
  if ('problem' in plan) throw new StartError(plan.problem);
  for (const warning of plan.warnings) log.warn(warning);
  return plan.options;
}

/** @throws StartError that names what is not built yet. */
function refuseUnbuilt(config: Config): void {
  if (allPeers(config).some((peer) => peer.interface !== ''))
    throw new StartError('not implemented yet: an unnumbered BGP peer');
}

/** Follows the own Node until its annotations are complete. */
async function awaitAnnotations(parts: Parts, signal: AbortSignal): Promise<BgpAnnotations | undefined> {
  const { api, clock, config, identity, log, random } = parts;
  const enough = new AbortController();
  let found: BgpAnnotations | undefined;
  let said = '';
  const look = (): void => {
    const [node] = reflector.items.values();
    const verdict =
      node === undefined
        ? { complete: false as const, reason: `no Node has the label kubernetes.io/hostname=${identity}` }
        : readBgpAnnotations(node.metadata.annotations ?? {}, config.annotations);
    if (verdict.complete) {
      found ??= verdict.bgp;
      enough.abort();
    } else if (verdict.reason !== said) {
      said = verdict.reason;
      log.warn('waiting for the BGP annotations of this Node', { reason: said });
    }
  };
  const reflector = createReflector<KubeObject>(
    { client: api.client, clock, random, log },
    {
      resource: nodes,
      labelSelector: `kubernetes.io/hostname=${identity}`,
      map: ({ metadata }) => ({ metadata }),
      listener: { synced: look, changed: look, removed: look },
    },
  );
  await reflector.run(AbortSignal.any([signal, enough.signal]));
  if (found !== undefined) log.info('BGP is configured by the annotations of this Node');
  return signal.aborted ? undefined : found;
}
