import type { Machine } from '../../lab/index.ts';
import type { Ip } from '../../src/lib/ip.ts';
import type { VirtualServer } from './protocol.ts';
import { RemoteForwarding, UnsupportedError } from './remote.ts';
import { directReturnRules, translatingRules, type RuleFacts } from './rules.ts';
import { startHaproxy } from './servers.ts';
import type { Site, Target } from './site.ts';

export type PathName =
  | 'direct'
  | 'router'
  | 'rules-translating'
  | 'translating'
  | 'rules-direct-return'
  | 'direct-return'
  | 'haproxy'
  | 'ipvs';

interface Recipe {
  readonly title: string;
  /** Measured in every round: a target depends on it. */
  readonly isMain: boolean;
  /** Makes `target` lead to the back-ends through `holder`. */
  prepare(site: Site, holder: Machine, target: Target): Promise<Partial<Prepared> | undefined>;
}

interface Prepared {
  /** When it is not the target's address. */
  readonly address: Ip;
  readonly forwarding: RemoteForwarding;
}

/** A way from the client to the back-ends that is ready to be measured. */
export interface Path {
  readonly name: PathName;
  readonly title: string;
  readonly isMain: boolean;
  readonly target: Target;
  readonly holder: Machine;
  readonly forwarding: RemoteForwarding | undefined;
}

/** The address by which the client is known behind the router, so that replies come back through it. */
const routedClient = 60;

const recipes: Readonly<Record<PathName, Recipe>> = {
  direct: {
    title: 'direct to one back-end',
    isMain: false,
    prepare: (site) => Promise.resolve({ address: site.backEnd(0).ipv4 }),
  },
  router: {
    title: 'router hop, both ways',
    isMain: false,
    prepare: async (site, holder, { address }) => {
      const backEnd = site.backEnd(0);
      const source = site.lab.plan.vip(routedClient);
      await passPackets(holder);
      await holder.ip(`route add ${address}/32 via ${backEnd.ipv4}`);
      await backEnd.ip(`addr add ${address}/32 dev lo`, `route add ${source}/32 via ${holder.ipv4}`);
      await site.client.ip(
        `addr add ${source}/32 dev eth0`,
        `route add ${address}/32 via ${holder.ipv4} src ${source}`,
      );
      return undefined;
    },
  },
  'rules-translating': {
    title: 'hand-written rules, translating',
    isMain: true,
    prepare: async (site, holder, target) => {
      await passPackets(holder);
      await hold(holder, target.address);
      await load(holder, translatingRules(factsOf(site, holder, target)));
      return undefined;
    },
  },
  translating: {
    title: 'kube-vip, translating',
    isMain: true,
    prepare: (site, holder, target) => forward(site, holder, target, 'nftables', 'masquerade'),
  },
  'rules-direct-return': {
    title: 'hand-written rules, direct return',
    isMain: true,
    prepare: async (site, holder, target) => {
      await hold(holder, target.address);
      await load(holder, directReturnRules(factsOf(site, holder, target)));
      return undefined;
    },
  },
  'direct-return': {
    title: 'kube-vip, direct return',
    isMain: true,
    prepare: (site, holder, target) => forward(site, holder, target, 'nftables', 'directroute'),
  },
  haproxy: {
    title: 'haproxy, TCP mode',
    isMain: false,
    prepare: async ({ backEnds }, holder, { address, port, bulkPort }) => {
      const servers = backEnds.map(({ ipv4 }) => ipv4);
      await hold(holder, address);
      await startHaproxy(holder, address, [
        { port, servers },
        { port: bulkPort, servers: servers.slice(0, 1) },
      ]);
      return undefined;
    },
  },
  ipvs: {
    title: 'kube-vip, IPVS masquerade',
    isMain: false,
    prepare: (site, holder, target) => forward(site, holder, target, 'ipvs', 'masquerade'),
  },
};

export const pathNames = Object.keys(recipes) as readonly PathName[];

/** Makes those that are wanted ready; says why some are missing that cannot be had here. */
export async function preparePaths(
  site: Site,
  wanted: readonly PathName[],
): Promise<{ readonly paths: readonly Path[]; readonly missing: ReadonlyMap<PathName, string> }> {
  const paths: Path[] = [];
  const missing = new Map<PathName, string>();
  const direct = pathNames.flatMap((name, n) =>
    name.endsWith('direct-return') ? [site.target(n).address] : [],
  );
  await site.holdQuietly(direct);
  for (const [n, name] of pathNames.entries()) {
    if (!wanted.includes(name)) continue;
    const recipe = recipes[name];
    const { title, isMain } = recipe;
    const holder = site.holder(n);
    const target = site.target(n);
    try {
      const prepared = await recipe.prepare(site, holder, target);
      const address = prepared?.address ?? target.address;
      paths.push({
        name,
        title,
        isMain,
        target: { ...target, address },
        holder,
        forwarding: prepared?.forwarding,
      });
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      missing.set(name, error.message);
    }
  }
  return { paths, missing };
}

/** The specs that lead to the back-ends at one port, and for bulk data at another to the first alone. */
export function virtualServers(
  { backEnds }: Site,
  { address, port, bulkPort }: Target,
  method: VirtualServer['method'],
): readonly VirtualServer[] {
  const server = (at: number, machines: readonly Machine[]): VirtualServer => ({
    kind: 'virtual-server',
    vip: address,
    port: at,
    protocol: 'tcp',
    scheduler: 'rr',
    method,
    link: 'eth0',
    realServers: machines.map(({ ipv4 }) => ({
      address: ipv4,
      port: at,
      weight: 1,
      state: 'active',
      isProven: true,
    })),
  });
  return [server(port, backEnds), server(bulkPort, backEnds.slice(0, 1))];
}

async function forward(
  site: Site,
  holder: Machine,
  target: Target,
  backend: 'nftables' | 'ipvs',
  method: VirtualServer['method'],
): Promise<Pick<Prepared, 'forwarding'>> {
  await hold(holder, target.address);
  const forwarding = await RemoteForwarding.start(holder, backend);
  await forwarding.set(virtualServers(site, target, method));
  return { forwarding };
}

function factsOf({ backEnds }: Site, { mac }: Machine, { address, port, bulkPort }: Target): RuleFacts {
  return {
    vip: address,
    mac,
    ports: [
      { port, servers: backEnds },
      { port: bulkPort, servers: backEnds.slice(0, 1) },
    ],
  };
}

async function hold(holder: Machine, vip: Ip): Promise<void> {
  await holder.ip(`addr add ${vip}/32 dev eth0 preferred_lft 0`);
}

async function passPackets(holder: Machine): Promise<void> {
  // Sender and receiver are on one link: the router would tell them so.
  const quiet = ['net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.eth0.send_redirects=0'];
  await holder.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', ...quiet]);
}

async function load(holder: Machine, rules: string): Promise<void> {
  await holder.run('nft', ['-f', '-'], { input: rules });
}
