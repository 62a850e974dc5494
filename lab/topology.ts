import { addNamespaces, ipBatch, runIn, setSysctls } from './netns.ts';
import type { Plan, Seat } from './plan.ts';
import { waitFor } from './wait.ts';

/**
 *                     bridge `br0` in the switch's namespace
 *   router  client  api  cp1 cp2 ...  w1 ...        each: port `NAME` <-veth-> `eth0` in NAMESPACE
 *     |
 *   `ext0` <-veth-> `eth0` remote                   only when asked for
 *
 * Ports stay in the switch's namespace: pulling a node's cable is one command there, which the node cannot undo.
 */

/** Same in every namespace: strict reverse-path filters of the host must not leak into the lab. */
const commonSysctls = {
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  'net.ipv6.conf.all.disable_ipv6': 0,
  'net.ipv6.conf.default.disable_ipv6': 0,
  // Router advertisements have no place here unless a test sends them on purpose.
  'net.ipv6.conf.default.accept_ra': 0,
  // Link-local addresses appear at once; `dadAsUsual` follows before anything else is added.
  'net.ipv6.conf.default.accept_dad': 0,
};

const linkLocal = ['-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'link'];
const dadAsUsual = { 'net.ipv6.conf.default.accept_dad': 1, 'net.ipv6.conf.eth0.accept_dad': 1 };

export function namespacesOf(plan: Plan): readonly string[] {
  return [plan.switchNamespace, ...machinesOf(plan).map((seat) => seat.namespace)];
}

/** Every machine, the switch left out. */
export function machinesOf(plan: Plan): readonly Seat[] {
  const { router, client, api, remote, controlPlanes, workers } = plan;
  return [router, client, api, ...controlPlanes, ...workers, ...(remote === undefined ? [] : [remote])];
}

/** The `ip` commands that give a machine its addresses and routes (again, after a flush). */
export function addressLines(plan: Plan, seat: Seat): readonly string[] {
  const viaRouter = seat.role !== 'router';
  const gateway = seat.role === 'remote' ? plan.remoteGateway : plan.router;
  return [
    `addr replace ${seat.ipv4}/24 dev eth0`,
    // Node addresses are known to be unique; only a VIP is worth the second that DAD takes.
    `addr replace ${seat.ipv6}/64 dev eth0 nodad`,
    ...(viaRouter
      ? [`route replace default via ${gateway.ipv4}`, `route replace default via ${gateway.ipv6}`]
      : []),
  ];
}

export async function buildTopology(plan: Plan): Promise<void> {
  const machines = machinesOf(plan);
  await addNamespaces(namespacesOf(plan));
  await Promise.all(namespacesOf(plan).map((namespace) => setSysctls(namespace, commonSysctls)));
  const onBridge = machines.filter((seat) => seat.role !== 'remote');
  await ipBatch(plan.switchNamespace, [
    // Lets one monitor here hear the address changes of all machines, in order. Before the cables, whose
    // creation would number the namespaces as it likes.
    ...machines.map((seat, index) => `netns set ${seat.namespace} ${nsidOf(index)}`),
    'link set lo up',
    'link add br0 type bridge mcast_snooping 0 forward_delay 0 stp_state 0',
    'link set br0 up',
    ...onBridge.flatMap((seat) => [
      `link add ${seat.name} type veth peer name eth0 address ${seat.mac} netns ${seat.namespace}`,
      `link set ${seat.name} master br0 up`,
    ]),
  ]);
  if (plan.remote !== undefined) {
    await ipBatch(plan.router.namespace, [
      `link add ext0 type veth peer name eth0 address ${plan.remote.mac} netns ${plan.remote.namespace}`,
      'link set ext0 up',
      `addr add ${plan.remoteGateway.ipv4}/24 dev ext0`,
      `addr add ${plan.remoteGateway.ipv6}/64 dev ext0 nodad`,
    ]);
  }
  await Promise.all(
    machines.map((seat) =>
      ipBatch(seat.namespace, ['link set lo up', 'link set eth0 up', ...addressLines(plan, seat)]),
    ),
  );
  await Promise.all(
    machines.map(async (seat) => {
      await waitFor(async () => (await runIn(seat.namespace, 'ip', linkLocal)) !== '', {
        what: `a link-local address on ${seat.name}`,
      });
      await setSysctls(seat.namespace, dadAsUsual);
    }),
  );
  await setSysctls(plan.router.namespace, {
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
    // A router that also redirects would hide a broken path behind a shortcut.
    'net.ipv4.conf.all.send_redirects': 0,
  });
}

/** The number by which the switch's namespace knows the namespace of the n-th machine. */
export function nsidOf(index: number): number {
  return 100 + index;
}
