import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  BFD_MULTIPLIER,
  Bird,
  ensurePrivilege,
  findComponent,
  Frr,
  kernelNextHops,
  Lab,
  waitFor,
  whyNoFrr,
  type Machine,
  type Neighbor,
} from '../../../lab/index.ts';
import { familyOf, ip, type Ip } from '../../../src/lib/ip.ts';
import type { PeerConfig } from '../../../src/node/index.ts';
import { NodeSpeaker } from './node-speaker.ts';

const refused = ensurePrivilege();
const bird = findComponent('bird');
const skip = refused?.because ?? ('missing' in bird ? bird.because : false);
const noFrr = skip === false ? (whyNoFrr() ?? false) : skip;

const NODE_AS = 65_000;
const ROUTER_AS = 65_500;
const vip = ip('198.51.100.10');

describe('a speaker whose peers are watched by BFD', { skip }, () => {
  let lab: Lab;
  let node: Machine;

  before(async () => {
    lab = await Lab.start({ controlPlanes: 1, remote: true });
    node = lab.node(0);
  });
  after(async () => {
    await lab.stop();
  });

  /** A session with each of these addresses of a router; gone afterwards. */
  async function withPeers(
    addresses: readonly Ip[],
    body: (subject: NodeSpeaker) => Promise<void>,
    isMultihop = false,
  ): Promise<void> {
    const peers = addresses.map((address): PeerConfig => ({
      address,
      port: 179,
      as: ROUTER_AS,
      password: '',
      ttl: isMultihop ? 50 : 1,
      localAddress: undefined,
      device: undefined,
      families: [familyOf(address)],
      nextHops: {},
      bfd: { isMultihop, rxMs: 100, txMs: 100, multiplier: BFD_MULTIPLIER },
    }));
    const subject = new NodeSpeaker(node.namespace);
    try {
      subject.want(vip);
      const timers = { holdTime: 90, keepaliveInterval: 30, connectRetry: 1 };
      subject.speaker.start({ localAs: NODE_AS, routerId: node.ipv4, ...timers, host: 'node', peers });
      await body(subject);
    } finally {
      await subject.stop();
    }
  }

  const untilBfd = (subject: NodeSpeaker, state: string): Promise<unknown> =>
    waitFor(() => subject.speaker.status().every((peer) => peer.bfd === state), {
      what: `BFD to be ${state}`,
      timeoutMs: 60_000,
    });
  const untilBgp = (subject: NodeSpeaker): Promise<unknown> =>
    waitFor(() => subject.speaker.status().every((peer) => peer.state === 'established'), {
      what: 'BGP sessions',
      timeoutMs: 60_000,
    });
  /** All is up and what was lost on the way is forgotten: a router that stood still may end a second session, too. */
  async function untilSettled(subject: NodeSpeaker): Promise<void> {
    await untilBfd(subject, 'up');
    await untilBgp(subject);
    subject.losses.length = 0;
  }
  /** Every session was lost for this reason since this was last asked; the hold time of 90 s does not count. */
  async function untilLost(subject: NodeSpeaker, reason: RegExp): Promise<void> {
    const { losses, speaker } = subject;
    const isLost = (address: Ip): boolean =>
      losses.some((loss) => loss.peer === address && reason.test(String(loss.reason)));
    await waitFor(() => speaker.status().every(({ address }) => isLost(address)), {
      what: `the loss of all sessions: ${reason.source}`,
      timeoutMs: 30_000,
      detail: () => JSON.stringify([losses, speaker.status()]),
    });
    losses.length = 0;
  }
  /** The router has learned of it, too, which it does a packet later. */
  const untilKnown = (router: Bird | Frr, address: string, state: string): Promise<unknown> =>
    waitFor(async () => (await router.bfdState(address)) === state, {
      what: `the router to find BFD with ${address} ${state}`,
    });
  /** What nft does with packets that leave or reach a machine, while the body runs. */
  async function withRule(machine: Machine, hook: string, rule: string, body: () => Promise<void>) {
    await machine.run('nft', ['add table inet bfdtest']);
    try {
      await machine.run('nft', [
        `add chain inet bfdtest c { type filter hook ${hook} priority 0; }; add rule inet bfdtest c ${rule}`,
      ]);
      await body();
    } finally {
      await machine.run('nft', ['delete table inet bfdtest']);
    }
  }
  const neighbors = (more: Partial<Neighbor> = {}): readonly Neighbor[] =>
    [node.ipv4, node.ipv6].map((address) => ({ address, as: NODE_AS, bfd: true, ...more }));

  test('BGP-21 BIRD, both families: a router that stands still is noticed, and so are we when we are silent', async () => {
    const router = await Bird.start(lab.router, { as: ROUTER_AS, neighbors: neighbors() });
    try {
      await withPeers([lab.router.ipv4, lab.router.ipv6], async (subject) => {
        await untilSettled(subject);
        for (const { address } of neighbors()) await untilKnown(router, address, 'Up');
        router.process.signal('SIGSTOP');
        try {
          await untilLost(subject, /^BFD down: nothing heard/);
        } finally {
          router.process.signal('SIGCONT');
        }
        await untilSettled(subject);
        await waitFor(async () => (await kernelNextHops(lab.router, vip)).length > 0, { what: 'the route' });
        await withRule(node, 'output', 'udp dport 3784 drop', async () => {
          // BIRD notices; which of its two words about that comes first, or whether it is only silent then, is up to it.
          await untilLost(subject, /^(BFD down|notification received)/);
          await untilBgp(subject);
          assert.ok(subject.speaker.status().every((peer) => peer.bfd !== 'up'));
        });
        await untilSettled(subject);
      });
    } finally {
      await router.stop();
    }
  });

  test('BGP-21 a neighbour is heard with a hop limit of 255 only', async () => {
    const router = await Bird.start(lab.router, { as: ROUTER_AS, neighbors: neighbors() });
    try {
      await withPeers([lab.router.ipv4, lab.router.ipv6], async (subject) => {
        await untilSettled(subject);
        const crossed = 'udp dport 3784 ip ttl set 254';
        const crossed6 = 'udp dport 3784 ip6 hoplimit set 254';
        await withRule(lab.router, 'output', `${crossed}; add rule inet bfdtest c ${crossed6}`, async () => {
          await untilLost(subject, /^(BFD down: nothing heard|notification received)/);
          await untilBgp(subject);
          await untilBfd(subject, 'down');
        });
        await untilBfd(subject, 'up');
      });
    } finally {
      await router.stop();
    }
  });

  test('BGP-21 a peer behind a router is watched on port 4784', async () => {
    const { remote } = lab;
    assert.ok(remote !== undefined);
    const router = await Bird.start(remote, {
      as: ROUTER_AS,
      neighbors: neighbors({ multihop: true }).slice(0, 1),
    });
    try {
      await withPeers(
        [remote.ipv4],
        async (subject) => {
          await untilSettled(subject);
          await untilKnown(router, node.ipv4, 'Up');
          await withRule(lab.router, 'forward', 'udp dport 4784 drop', () =>
            untilLost(subject, /^(BFD down: nothing heard|notification received)/),
          );
        },
        true,
      );
    } finally {
      await router.stop();
    }
  });

  test(
    'BGP-21 FRR: both families; a link that is down is noticed, BFD that is shut down there is no loss',
    { skip: noFrr },
    async () => {
      const router = await Frr.start(lab.router, { as: ROUTER_AS, neighbors: neighbors() });
      try {
        await withPeers([lab.router.ipv4, lab.router.ipv6], async (subject) => {
          await untilSettled(subject);
          for (const { address } of neighbors()) await untilKnown(router, address, 'up');
          await withRule(lab.router, 'input', 'udp dport 3784 drop', async () => {
            await untilLost(subject, /^(BFD down|notification received)/);
          });
          await untilSettled(subject);
          const sessions = subject.speaker.status().map((peer) => peer.sessions);
          await router.ask('configure', 'bfd', 'profile fast', 'shutdown');
          await untilBfd(subject, 'down');
          assert.deepEqual(
            subject.speaker.status().map((peer) => [peer.state, peer.sessions]),
            sessions.map((count) => ['established', count]),
          );
        });
      } finally {
        await router.stop();
      }
    },
  );
});
