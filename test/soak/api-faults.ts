import { leasePath } from '../../lab/index.ts';
import type { ApiCommand } from '../../lab/embedded-server.ts';
import { namespace } from './site.ts';
import { insist, oneOf, upTo, type Draw, type Scene, type Step } from './steps.ts';

type Effect = Extract<ApiCommand, { readonly do: 'fail' }>;

const statuses = [
  { status: 403, reason: 'Forbidden' },
  { status: 401, reason: 'Unauthorized' },
  { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
  { status: 500, reason: 'InternalError' },
  { status: 503, reason: 'ServiceUnavailable' },
] as const;

/** What the daemons ask for and the soak itself does not. */
const paths = [
  { verb: ['list', 'watch'], path: '/api/v1/services' },
  { verb: ['list', 'watch'], path: '/apis/discovery.k8s.io/v1/endpointslices' },
  { verb: ['list', 'watch'], path: '/api/v1/nodes' },
  { verb: ['get', 'watch', 'update', 'create'], path: '/apis/coordination.k8s.io/v1/namespaces' },
  { verb: ['create', 'update', 'patch'], path: `/api/v1/namespaces/${namespace}/events` },
] as const;

/** Some requests go wrong; the faults are over by themselves, at the latest when everything is mended. */
const refuse: Draw = (scene) => {
  const { random } = scene;
  const match = oneOf(random, paths);
  const times = upTo(random, 1, 25);
  const kinds: readonly Effect['effect'][] = [
    ...statuses,
    { close: true },
    { garbage: '{"kind":' },
    { delayMs: upTo(random, 100, 1_500) },
  ];
  const effect = oneOf(random, kinds);
  return command(
    scene,
    { do: 'fail', match, effect, times },
    `${times} of ${match.path}: ${JSON.stringify(effect)}`,
  );
};

function command({ site }: Scene, what: ApiCommand, text: string): Step | undefined {
  if (site.options.api === 'real') return undefined;
  return { text: `API server: ${text}`, act: () => site.cluster.embedded.command(what) };
}

const stall: Draw = (scene) => {
  const { site, random } = scene;
  if (site.options.api === 'real') return undefined;
  const match = oneOf(random, paths);
  const afterMs = upTo(random, 500, 6_000);
  const fault = { do: 'fail', match, effect: { stall: true } } as const;
  return {
    text: `API server: ${match.path} stalls for ${afterMs} ms`,
    act: () => site.cluster.embedded.command(fault),
    undo: { afterMs, act: () => site.cluster.embedded.command({ do: 'clear' }) },
  };
};

const endWatches: Draw = (scene) => command(scene, { do: 'end-watches' }, 'all watches end');
const silence: Draw = (scene) => command(scene, { do: 'silence-watches' }, 'the open watches go deaf');

const compact: Draw = (scene) => {
  const { site } = scene;
  if (site.options.api === 'real') return undefined;
  return {
    text: 'API server: compacted, all watches end: 410',
    act: async () => {
      await site.cluster.embedded.command({ do: 'compact' });
      await site.cluster.embedded.command({ do: 'end-watches' });
    },
  };
};

const away: Draw = ({ site, random }) => {
  const afterMs = upTo(random, 300, 9_000);
  return {
    text: `API servers away for ${afterMs} ms`,
    act: () => site.cluster.api.takeAway(),
    undo: { afterMs, act: () => site.cluster.api.bringBack() },
  };
};

/** The node's own; with the balancer on it may ask the others. */
const ownDies: Draw = ({ site, random }) => {
  const node = oneOf(random, site.nodes);
  return {
    text: `the API server of ${node.name} dies`,
    act: async () => {
      if (site.options.api === 'real') {
        await site.cluster.real.processesOf(node).apiserver.kill();
        site.cluster.real.startApiServer(node);
      } else await site.relays.get(node.name)?.kill();
    },
  };
};

const blackhole: Draw = ({ site, random }) => {
  const node = oneOf(random, site.nodes);
  const afterMs = upTo(random, 500, 9_000);
  return {
    text: `no API server for ${node.name} for ${afterMs} ms`,
    act: () => node.cable.blackholeApi(site.cluster.api.port),
    undo: { afterMs, act: () => node.cable.restoreApi() },
  };
};

const silent: Draw = ({ site, random }) => {
  const node = oneOf(random, site.nodes);
  const afterMs = upTo(random, 2_000, 9_000);
  return {
    text: `open connections of ${node.name} to the API silent for ${afterMs} ms`,
    // It may have none just now.
    act: () => node.cable.silenceConnections(site.cluster.api.port).catch(() => undefined),
    undo: { afterMs, act: () => node.cable.restoreApi() },
  };
};

const deleteLease: Draw = ({ site, model, random }) => {
  const wish = model.any(random);
  const own = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/kubevip-${wish?.name ?? 'none'}`;
  const path = oneOf(random, [leasePath, own, leasePath.replace('plndr-cp-lock', 'plndr-svcs-lock')]);
  return {
    text: `lease ${path.split('/').at(-1) ?? ''} deleted`,
    act: () => insist('a lease to be deleted', () => site.cluster.api.client.delete(path)),
  };
};

const stealLease: Draw = ({ site }) => ({
  text: 'lease plndr-cp-lock taken by somebody who does not renew it',
  act: () => insist('a lease to be taken', () => site.cluster.takeLease('somebody')),
});

/** A kubelet says that its node is not well, and well again. */
const notReady: Draw = ({ site, random }) => {
  const node = oneOf(random, site.nodes);
  const afterMs = upTo(random, 500, 6_000);
  const say = (isReady: boolean): Promise<void> =>
    insist(`the kubelet of ${node.name} to be heard`, () => site.cluster.setNodeReady(node, isReady));
  return {
    text: `Node ${node.name} not ready for ${afterMs} ms`,
    act: () => say(false),
    undo: { afterMs, act: () => say(true) },
  };
};

/** What happens to API servers, and through them. */
export const apiDraws: readonly Draw[] = [
  ...[refuse, refuse, refuse, stall, endWatches, silence, compact],
  ...[away, ownDies, blackhole, silent, deleteLease, stealLease, notReady],
];
