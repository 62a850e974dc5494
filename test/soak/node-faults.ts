import { messageOf } from '../../src/lib/errors.ts';
import type { Machine } from '../../lab/index.ts';
import { oneOf, upTo, type Draw, type Scene, type Step } from './steps.ts';

/** A fault that is undone after a drawn time. */
function during(
  text: string,
  afterMs: number,
  act: () => Promise<unknown>,
  undo: () => Promise<unknown>,
): Step {
  return { text: `${text} for ${afterMs} ms`, act, undo: { afterMs, act: undo } };
}

function anyNode({ site, random }: Scene): Machine {
  return oneOf(random, site.nodes);
}

/** Until it is ready again its kernel answers for what it left there. */
function excusedUntilReady({ site }: Scene, node: Machine): void {
  const over = site.watch.excuse(node.name);
  void site
    .daemon(node)
    .waitReady(120_000)
    .catch(() => undefined)
    .then(() => setTimeout(over, 2_000).unref());
}

const terminate: Draw = (scene) => {
  const node = oneOf(scene.random, scene.site.mortal);
  return {
    text: `SIGTERM on ${node.name}`,
    act: async () => scene.site.daemon(node).signal('SIGTERM'),
  };
};

const kill: Draw = (scene) => {
  const node = oneOf(scene.random, scene.site.mortal);
  return {
    text: `SIGKILL on ${node.name}`,
    act: async () => {
      const { process } = scene.site.daemon(node);
      const over = scene.site.watch.excuse(node.name);
      await process.kill();
      excusedUntilReady(scene, node);
      setTimeout(over, 5_000).unref();
    },
  };
};

const pause: Draw = (scene) => {
  const node = anyNode(scene);
  const daemon = scene.site.daemon(node);
  let over: () => void = () => undefined;
  return during(
    `SIGSTOP on ${node.name}`,
    upTo(scene.random, 200, 9_000),
    async () => {
      over = scene.site.watch.excuse(node.name);
      daemon.signal('SIGSTOP');
    },
    async () => {
      daemon.signal('SIGCONT');
      setTimeout(over, 1_500).unref();
    },
  );
};

const powerCut: Draw = (scene) => {
  const { site, random } = scene;
  const node = oneOf(random, site.mortal);
  const relay = site.relays.get(node.name);
  let over: () => void = () => undefined;
  return during(
    `power cut of ${node.name}`,
    upTo(random, 1_000, 9_000),
    async () => {
      over = site.watch.excuse(node.name);
      relay?.halt();
      await site.cluster.powerOff(node);
    },
    async () => {
      relay?.startAgain();
      await site.cluster.powerOn(node);
      setTimeout(over, 1_500).unref();
    },
  );
};

const pull: Draw = (scene) => {
  const { cable, name } = anyNode(scene);
  return during(
    `cable of ${name} pulled`,
    upTo(scene.random, 100, 7_000),
    () => cable.pull(),
    () => cable.plug(),
  );
};

const cut: Draw = (scene) => {
  const { cable, name } = anyNode(scene);
  const direction = oneOf(scene.random, ['to', 'from', 'both'] as const);
  const afterMs = upTo(scene.random, 300, 8_000);
  return during(
    `frames ${direction} ${name} lost`,
    afterMs,
    () => cable.cut(direction),
    () => cable.heal(),
  );
};

/** As a network manager does it: the link's IPv6 addresses and its routes go with it. */
const linkDown: Draw = (scene) => {
  const node = anyNode(scene);
  const afterMs = upTo(scene.random, 50, 4_000);
  const up = async (): Promise<void> => {
    await node.ip('link set eth0 up');
    await node.restoreAddresses();
  };
  return during(`eth0 of ${node.name} down`, afterMs, () => node.ip('link set eth0 down'), up);
};

const flush: Draw = (scene) => {
  const node = anyNode(scene);
  const afterMs = upTo(scene.random, 20, 1_500);
  const act = (): Promise<void> =>
    node.flushAddresses().catch((error: unknown) => {
      // VIPs that are put back at once; what is not is gone by then.
      if (!messageOf(error).includes('Flush remains incomplete')) throw error;
    });
  // The link-local one is the kernel's, from the MAC address (RFC 4291 appendix A), and comes back with the carrier only.
  const linkLocal = `fe80::6b:76ff:fe00:${node.mac.split(':').at(-1) ?? ''}/64`;
  const undo = async (): Promise<void> => {
    await node.restoreAddresses();
    await node.ip(`addr replace ${linkLocal} dev eth0 nodad`);
  };
  return during(`all addresses of ${node.name} flushed`, afterMs, act, undo);
};

const deleteVip: Draw = ({ site, random }) => {
  const { plan } = site.cluster.lab;
  const n = upTo(random, 0, 8);
  const vip = random() < 0.25 ? plan.vip6(n) : plan.vip(n);
  return {
    text: `${vip} deleted by hand wherever it is`,
    act: async () => {
      const length = vip.includes(':') ? 128 : 32;
      for (const node of site.nodes)
        await node.tryRun('ip', ['addr', 'del', `${vip}/${length}`, 'dev', 'eth0']);
    },
  };
};

const flushRules: Draw = (scene) => {
  const node = anyNode(scene);
  return {
    text: `nftables tables of kube-vip on ${node.name} deleted`,
    act: async () => {
      const tables = (await node.run('nft', ['list', 'tables'])).split('\n');
      for (const line of tables.filter((each) => each.includes('kube-vip')))
        await node.tryRun('nft', ['delete', ...line.split(' ')]);
    },
  };
};

/** What happens to nodes: processes, links, addresses, rules. */
export const nodeDraws: readonly Draw[] = [
  ...[terminate, kill, pause, powerCut, pull, cut, linkDown],
  ...[flush, deleteVip, deleteVip, flushRules],
];
