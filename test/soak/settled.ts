import type { Machine } from '../../lab/index.ts';
import { isServed, pooledVips, type Model, type Wish } from './model.ts';
import { listServices, namedAddresses, type ServiceObject } from './objects.ts';
import { namespace, type Site } from './site.ts';

/** What is on the nodes and in the API now, as others see it. */
interface Seen {
  /** VIPs by node. */
  readonly held: ReadonlyMap<string, ReadonlySet<string>>;
  readonly services: ReadonlyMap<string, ServiceObject>;
}

interface LeaseObject {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly renewTime?: string;
    readonly leaseDurationSeconds?: number;
  };
}

interface StatusPage {
  readonly notReady: readonly string[];
  readonly vips: readonly {
    readonly vip: string;
    readonly kind: string;
    readonly present: boolean;
    readonly state: string;
  }[];
}

/** What is wrong, one line each; nothing when the cluster is what the model wants. */
export async function findProblems(site: Site, model: Model): Promise<readonly string[]> {
  const seen = await look(site);
  const holderOf = wherever(seen);
  return [
    ...serviceProblems(site, model, seen),
    ...leftovers(site, model, seen),
    ...(await wireProblems(site, seen)),
    ...(await ruleProblems(site, seen)),
    ...(await statusProblems(site, model, seen)),
    ...(await leaseProblems(site, model)),
    ...(await labelProblems(site, holderOf)),
  ];
}

/** The nodes that have an address. */
function wherever({ held }: Seen): (vip: string) => readonly string[] {
  return (vip) => [...held].flatMap(([node, vips]) => (vips.has(vip) ? [node] : []));
}

async function look(site: Site): Promise<Seen> {
  const { plan } = site.cluster.lab;
  const all = new Set<string>(Array.from({ length: 100 }, (_, n) => [plan.vip(n), plan.vip6(n)]).flat());
  const held = await Promise.all(
    site.nodes.map(async (node): Promise<readonly [string, ReadonlySet<string>]> => {
      const text = await node.run('ip', ['-o', 'addr', 'show']);
      const found = [...text.matchAll(/inet6? (\S+)\/\d+/g)].map(([, address = '']) => address);
      return [node.name, new Set(found.filter((address) => all.has(address)))];
    }),
  );
  const services = await listServices(site.cluster);
  return {
    held: new Map(held),
    services: new Map(services.map((service) => [service.metadata.name, service])),
  };
}

/** The addresses a Service should have; an error text where it was given none, or a wrong one. */
function wantedAddresses(site: Site, wish: Wish, service: ServiceObject): readonly string[] | string {
  const named = namedAddresses(site.cluster, wish);
  if (named !== undefined) return named;
  const given = service.metadata.annotations?.['kube-vip.io/loadbalancerIPs'] ?? '';
  const { plan } = site.cluster.lab;
  const pool = Array.from({ length: pooledVips.count }, (_, n) => plan.vip(pooledVips.first + n));
  return pool.some((vip) => vip === given) ? [given] : `${wish.name} was given the address "${given}"`;
}

function serviceProblems(site: Site, model: Model, seen: Seen): readonly string[] {
  const holderOf = wherever(seen);
  const globalHolder = site.has('election') ? undefined : holderOfAny(seen);
  return [...model.services.values()].flatMap((wish) => {
    const service = seen.services.get(wish.name);
    if (service === undefined) return [`${wish.name} is not in the API`];
    if (!wish.isOurs) return [];
    const wanted = wantedAddresses(site, wish, service);
    if (typeof wanted === 'string') return [wanted];
    const ingress = (service.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip ?? '');
    const holders = [...new Set(wanted.flatMap(holderOf))];
    const mayBeNowhere =
      !isServed(wish) ||
      (globalHolder !== undefined && wish.policy === 'Local' && !wish.nodes.includes(globalHolder));
    if (mayBeNowhere) return [];
    const problems = wanted
      .filter((vip) => holderOf(vip).length !== 1)
      .map((vip) => `${wish.name}: ${vip} is on ${holderOf(vip).join(' and ') || 'no node'}`);
    if (holders.length > 1) problems.push(`${wish.name}: its addresses are on ${holders.join(' and ')}`);
    if (ingress.toSorted().join() !== wanted.toSorted().join())
      problems.push(`${wish.name}: status has ${ingress.join() || 'nothing'}, not ${wanted.join()}`);
    const host = service.metadata.annotations?.['kube-vip.io/vipHost'];
    if (holders.length === 1 && host !== holders[0])
      problems.push(`${wish.name}: vipHost is ${host ?? 'missing'}, not ${String(holders[0])}`);
    if (wish.policy === 'Local' && holders.some((node) => !wish.nodes.includes(node)))
      problems.push(`${wish.name}: Local on ${holders.join()}, endpoints on ${wish.nodes.join()}`);
    return problems;
  });
}

/** The node that has Services, where one has all of them. */
function holderOfAny({ held }: Seen): string | undefined {
  const vips = (node: string): number => held.get(node)?.size ?? 0;
  return [...held.keys()].toSorted((a, b) => vips(b) - vips(a))[0];
}

/** Addresses and Services that nobody wants any more. */
function leftovers(site: Site, model: Model, seen: Seen): readonly string[] {
  const wanted = new Set<string>(site.controlPlaneVips);
  for (const wish of model.services.values()) {
    const service = seen.services.get(wish.name);
    if (service === undefined || !isServed(wish)) continue;
    const addresses = wantedAddresses(site, wish, service);
    if (typeof addresses !== 'string') for (const vip of addresses) wanted.add(vip);
  }
  const addresses = [...seen.held].flatMap(([node, vips]) =>
    [...vips].filter((vip) => !wanted.has(vip)).map((vip) => `${vip} is still on ${node}`),
  );
  const services = [...seen.services.keys()]
    .filter((name) => !model.services.has(name))
    .map((name) => `Service ${name} is still in the API`);
  const control = new Set(site.controlPlaneVips.map((vip) => wherever(seen)(vip).join(' and ')));
  const [node = ''] = control;
  const isRight = control.size === 1 && site.nodes.some(({ name }) => name === node);
  const controlPlane = isRight ? [] : [`control-plane VIPs are on: ${[...control].join('; ') || 'no node'}`];
  return [...addresses, ...services, ...controlPlane];
}

/** A client reaches each VIP at the station that has it. */
async function wireProblems(site: Site, seen: Seen): Promise<readonly string[]> {
  const { cluster, nodes } = site;
  const { client } = cluster.lab;
  const vips = [...seen.held].flatMap(([node, all]) => [...all].map((vip) => ({ vip, node })));
  const pings = await Promise.all(vips.map(async ({ vip }) => ({ vip, answers: await client.ping(vip) })));
  const table = (await client.run('ip', ['neigh', 'show', 'dev', 'eth0'])).split('\n');
  const deaf = pings
    .filter(({ answers, vip }) => !answers && (!site.has('security') || site.controlPlaneVips.includes(vip)))
    .map(({ vip }) => `${vip} does not answer the client`);
  return [
    ...deaf,
    ...vips.flatMap(({ vip, node }) => {
      const line = table.find((each) => each.startsWith(`${vip} `)) ?? '';
      const mac = nodes.find(({ name }) => name === node)?.mac ?? '';
      return !line.includes('lladdr') || line.includes(mac)
        ? []
        : [`the client has ${line.trim()}, but ${vip} is on ${node} (${mac})`];
    }),
  ];
}

async function ruleProblems(site: Site, { held }: Seen): Promise<readonly string[]> {
  const all = await Promise.all(
    site.nodes.map((node) => rulesOf(site, node, held.get(node.name) ?? new Set())),
  );
  return all.flat();
}

async function rulesOf(site: Site, node: Machine, held: ReadonlySet<string>): Promise<readonly string[]> {
  const { plan } = site.cluster.lab;
  const rules = await node.run('nft', ['list', 'ruleset']);
  const tables = rules.split('\n').filter((line) => line.startsWith('table '));
  const problems: string[] = [];
  const text = rules.split(/\s|,|;/);
  const says = (address: string): boolean => text.includes(address);
  const hasControlPlane = site.controlPlaneVips.some((vip) => held.has(vip));
  if (hasControlPlane) {
    const servers = site.nodes.flatMap(({ ipv4, ipv6 }) => (site.has('dual') ? [ipv4, ipv6] : [ipv4]));
    for (const server of servers)
      if (!says(server)) problems.push(`${node.name}: the balancer has no server ${server}`);
  }
  const isBalancing = tables.some((line) => / kube-vip-lb \{/.test(line));
  if (isBalancing !== hasControlPlane)
    problems.push(`${node.name}: ${hasControlPlane ? 'no' : 'a'} balancer table: ${tables.join()}`);
  const services = [...held].filter((vip) => !site.controlPlaneVips.includes(vip));
  if (site.has('security')) {
    for (const vip of services) if (!says(vip)) problems.push(`${node.name}: ${vip} is not guarded`);
  }
  const others = Array.from({ length: 99 }, (_, n) => [plan.vip(n + 1), plan.vip6(n + 1)]).flat();
  for (const vip of others) if (says(vip) && !held.has(vip)) problems.push(`${node.name}: rules for ${vip}`);
  const routes = await node.run('ip', ['route', 'show', 'table', 'all', 'proto', '248']);
  if (routes.trim() !== '') problems.push(`${node.name}: routes ${routes.trim()}`);
  return problems;
}

/** What a daemon says must be what its kernel has. */
async function statusProblems(site: Site, model: Model, { held }: Seen): Promise<readonly string[]> {
  const all = await Promise.all(
    site.nodes.map(async (node) => {
      const answer = await site.daemon(node).http('/status');
      if (answer?.status !== 200) return [`${node.name}: /status says ${answer?.status ?? 'nothing'}`];
      const metrics = (await site.daemon(node).http('/metrics'))?.body ?? '';
      const page = JSON.parse(answer.body) as StatusPage;
      const kernel = held.get(node.name) ?? new Set<string>();
      const addresses = page.vips.filter(({ kind }) => kind === 'address');
      const present = addresses.filter((each) => each.present).map(({ vip }) => vip);
      const listed = addresses.map(({ vip }) => vip);
      return [
        ...seriesOfOthers(metrics, model).map((series) => `${node.name}: still has ${series}`),
        ...page.notReady.map((why) => `${node.name}: not ready: ${why}`),
        ...present.filter((vip) => !kernel.has(vip)).map((vip) => `${node.name}: says it has ${vip}`),
        ...[...kernel].filter((vip) => !listed.includes(vip)).map((vip) => `${node.name}: hides ${vip}`),
        ...page.vips
          .filter(({ state }) => state === 'failed')
          .map(({ vip, kind }) => `${node.name}: ${kind} of ${vip} failed`),
      ];
    }),
  );
  return all.flat();
}

/** Metric series of Services that are gone. */
function seriesOfOthers(metrics: string, { services }: Model): readonly string[] {
  const label = new RegExp(`(?:\\bname="|lease_name="${namespace}/kubevip-)(s\\d+)"`);
  return metrics.split('\n').filter((line) => {
    const name = label.exec(line)?.[1];
    return name !== undefined && !services.has(name);
  });
}

/** Leases of Services that are gone: nobody may go on renewing them. */
async function leaseProblems(site: Site, model: Model): Promise<readonly string[]> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const { items } = await site.cluster.api.client.get<{ readonly items: readonly LeaseObject[] }>(path);
  const common = new Set([...model.services.values()].map(({ lease }) => lease));
  return items.flatMap(({ metadata: { name }, spec }) => {
    if (common.has(name) || model.services.has(name.replace(/^kubevip-/, ''))) return [];
    const isHeld = (spec?.holderIdentity ?? '') !== '';
    const until = Date.parse(spec?.renewTime ?? '') + (spec?.leaseDurationSeconds ?? 0) * 1000;
    return isHeld && until > Date.now()
      ? [`lease ${name} is still held by ${spec?.holderIdentity ?? ''}`]
      : [];
  });
}

/** Node labels say who has what. */
async function labelProblems(
  site: Site,
  holderOf: (vip: string) => readonly string[],
): Promise<readonly string[]> {
  const { items } = await site.cluster.api.client.get<{
    readonly items: readonly {
      readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
    }[];
  }>('/api/v1/nodes');
  const [vip = ''] = site.controlPlaneVips;
  return items.flatMap(({ metadata: { name, labels = {} } }) => {
    const label = labels['kube-vip.io/has-ip'];
    const isHolder = holderOf(vip).includes(name);
    if (isHolder === (label !== undefined)) return [];
    return [`${name}: label has-ip is ${label ?? 'missing'}, holder of ${vip} is ${holderOf(vip).join()}`];
  });
}
