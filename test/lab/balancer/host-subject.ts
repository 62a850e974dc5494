import type { Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { openForwardingPorts, openKernel, systemClock } from '../../../src/linux/index.ts';
import {
  createForwarding,
  type Choice,
  type Forwarding,
  type ForwardingMethod,
} from '../../../src/node/forwarding/index.ts';
import type { BalancerSubject } from '../../../src/testing/contract/balancer/index.ts';
import { addressOf, LINK, runHere, until, vipOf, type World } from './world.ts';

const vips = 2;

/** Forwarding in the holder's namespace of a world that already is. */
export async function openSubject(
  world: World,
  choice: Choice,
  method: ForwardingMethod,
): Promise<BalancerSubject> {
  const claims = Array.from({ length: vips }, (_, n) => n).flatMap((n) =>
    ([4, 6] as const).flatMap((family) => [443, 6443].map((port) => ({ vip: vipOf(n, family), port }))),
  );
  let current = await open(choice, claims);
  return {
    method,
    link: LINK,
    vip: vipOf,
    address: (server, family) => addressOf(`server${server}`, family),
    get forwarding() {
      return current.forwarding;
    },
    restart: async () => {
      // Nothing is taken back: its timers go on, but it has nothing to say any more.
      current.abandon();
      current = await open(choice, claims);
      return current.forwarding;
    },
    connect: (from, to, port) => world.connectFrom(from, to, port),
    stopServer: (server) => world.stopServer(`server${server}`),
    startServer: (server) => world.serve(`server${server}`),
    unplug: (server) => world.plug(server, 'down'),
    plugIn: (server) => world.plug(server, 'up'),
    removeBehindOurBack: () => {
      attempt('nft flush ruleset');
      if (choice.backend === 'ipvs') runHere('ipvsadm -C');
    },
    traces: () => traces(choice.backend === 'ipvs'),
    until,
    close: async () => {
      await current.forwarding.close();
      current.abandon();
      attempt('conntrack -F');
    },
  };
}

/** For programs of which this kernel lacks the other half. */
function attempt(command: string): string {
  try {
    return runHere(command);
  } catch {
    return '';
  }
}

function traces(withIpvs: boolean): readonly string[] {
  const rules = attempt('nft list tables').split('\n');
  const services = withIpvs ? runHere('ipvsadm -Sn').split('\n') : [];
  return [...rules, ...services].filter((line) => line !== '');
}

async function open(
  choice: Choice,
  claims: readonly { readonly vip: Ip; readonly port: number }[],
): Promise<{ readonly forwarding: Forwarding; abandon(): void }> {
  const kernel = openKernel({ clock: systemClock() });
  const ports = await openForwardingPorts(kernel);
  const forwarding = createForwarding(
    { ...ports, clock: systemClock(), log: silentLogger },
    { choice, claims },
  );
  await forwarding.start();
  return {
    forwarding,
    abandon: () => {
      forwarding.abandon();
      ports.close();
      kernel.close();
    },
  };
}
