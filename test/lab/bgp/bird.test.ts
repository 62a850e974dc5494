import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  Bird,
  ensurePrivilege,
  findComponent,
  kernelNextHops,
  Lab,
  waitFor,
  type Machine,
  type Neighbor,
  type RouterOptions,
} from '../../../lab/index.ts';
import { ip, type Family, type Ip } from '../../../src/lib/ip.ts';
import type { PeerConfig, SpeakerOptions } from '../../../src/node/index.ts';
import { NodeSpeaker } from './node-speaker.ts';

const refused = ensurePrivilege();
const bird = findComponent('bird');
const skip = refused?.because ?? ('missing' in bird ? bird.because : false);

const NODE_AS = 65_000;
const ROUTER_AS = 65_500;

describe('a speaker and BIRD', { skip }, () => {
  let lab: Lab;
  const vip4 = ip('198.51.100.10');
  const vip6 = ip('2001:db8:77::10');

  before(async () => {
    lab = await Lab.start({ controlPlanes: 2, remote: true });
  });
  after(async () => {
    await lab.stop();
  });

  const peer = (address: Ip, families: readonly Family[], more: Partial<PeerConfig> = {}): PeerConfig => ({
    address,
    port: 179,
    as: ROUTER_AS,
    password: '',
    ttl: 1,
    localAddress: undefined,
    device: undefined,
    families,
    nextHops: {},
    ...more,
  });
  const options = (
    host: Ip,
    peers: readonly PeerConfig[],
    more: Partial<SpeakerOptions> = {},
  ): SpeakerOptions => ({
    localAs: NODE_AS,
    routerId: host,
    holdTime: 30,
    keepaliveInterval: 10,
    connectRetry: 1,
    host: 'node',
    peers,
    ...more,
  });

  const untilHops = (prefix: string, hops: readonly string[], timeoutMs = 60_000): Promise<unknown> =>
    waitFor(async () => (await kernelNextHops(lab.router, prefix)).join(' ') === hops.toSorted().join(' '), {
      what: `the router's route to ${prefix} by ${hops.join(' ') || 'nobody'}`,
      timeoutMs,
    });

  /** Runs with BIRD on a machine and a speaker on the first node; both are gone afterwards. */
  async function withSession(
    neighbor: Partial<Neighbor> & Pick<Neighbor, 'address'>,
    speaks: SpeakerOptions,
    body: (router: Bird, subject: NodeSpeaker) => Promise<void>,
    more: Partial<RouterOptions> & { readonly machine?: Machine } = {},
  ): Promise<void> {
    const { machine = lab.router, ...rest } = more;
    const router = await Bird.start(machine, {
      as: ROUTER_AS,
      neighbors: [{ as: NODE_AS, ...neighbor }],
      ...rest,
    });
    const subject = new NodeSpeaker(lab.node(0).namespace);
    try {
      subject.want(vip4, vip6);
      subject.speaker.start(speaks);
      await body(router, subject);
    } finally {
      await subject.stop();
      await router.stop();
    }
  }

  test('BGP-10 an IPv4 and an IPv6 route over an IPv4 session, put and withdrawn; stopping says Cease', async () => {
    const node = lab.node(0);
    const ours = peer(lab.router.ipv4, [4, 6], { nextHops: { ipv6: node.ipv6 } });
    const neighbor: Neighbor = { address: node.ipv4, as: NODE_AS, families: [4, 6] };
    await withSession(neighbor, options(node.ipv4, [ours]), async (router, subject) => {
      await untilHops(vip4, [node.ipv4]);
      await untilHops(vip6, [node.ipv6]);
      const route = await router.route(`${vip4}/32`);
      assert.match(route, /BGP.origin: IGP/);
      assert.match(route, new RegExp(`BGP.as_path: ${NODE_AS}\\b`));
      assert.match(route, new RegExp(`BGP.next_hop: ${node.ipv4}\\b`));
      subject.want(vip6);
      await untilHops(vip4, []);
      assert.deepEqual(await kernelNextHops(lab.router, vip6), [node.ipv6]);
      await subject.speaker.stop();
      await untilHops(vip6, []);
      await router.process.waitForLog(/Received: (Peer de-configured|Cease)/i);
    });
  });

  test('BGP-03 a session over IPv6 carries IPv6 routes', async () => {
    const node = lab.node(0);
    await withSession({ address: node.ipv6 }, options(node.ipv4, [peer(lab.router.ipv6, [6])]), async () => {
      await untilHops(vip6, [node.ipv6]);
      assert.deepEqual(await kernelNextHops(lab.router, vip4), []);
    });
  });

  test('BGP-03 a peer that is link-local is reached over the source link', async () => {
    const node = lab.node(0);
    const linkLocal = async (machine: Machine): Promise<Ip> => {
      const text = await machine.run('ip', ['-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'link']);
      return ip(/inet6 ([0-9a-f:]+)/.exec(text)?.[1] ?? '');
    };
    const [ours, theirs] = [await linkLocal(node), await linkLocal(lab.router)];
    const index = Number(/^(\d+):/.exec(await node.run('ip', ['-o', 'link', 'show', 'eth0']))?.[1]);
    const router = await Bird.start(lab.router, {
      as: ROUTER_AS,
      neighbors: [{ address: ours, as: NODE_AS, link: 'eth0' }],
    });
    const subject = new NodeSpeaker(node.namespace, { eth0: index });
    try {
      subject.want(vip6);
      subject.speaker.start(options(node.ipv4, [peer(theirs, [6], { device: 'eth0' })]));
      await untilHops(vip6, [ours]);
    } finally {
      await subject.stop();
      await router.stop();
    }
  });

  test('BGP-09 in our own AS the path is empty and the local preference 100', async () => {
    const node = lab.node(0);
    const inside = peer(lab.router.ipv4, [4], { as: NODE_AS, ttl: undefined });
    await withSession(
      { address: node.ipv4 },
      options(node.ipv4, [inside]),
      async (router) => {
        await untilHops(vip4, [node.ipv4]);
        const route = await router.route(`${vip4}/32`);
        assert.match(route, /BGP.local_pref: 100/);
        assert.match(route, /BGP.as_path: *\n/);
      },
      { as: NODE_AS },
    );
  });

  test('BGP-05 AS numbers of four octets on both sides', async () => {
    const node = lab.node(0);
    const wide = { localAs: 4_200_000_001 };
    const speaks = options(node.ipv4, [peer(lab.router.ipv4, [4], { as: 4_200_000_002 })], wide);
    await withSession(
      { address: node.ipv4, as: 4_200_000_001 },
      speaks,
      async (router) => {
        await untilHops(vip4, [node.ipv4]);
        assert.match(await router.route(`${vip4}/32`), /BGP.as_path: 4200000001\b/);
      },
      { as: 4_200_000_002 },
    );
  });

  test('BGP-08 a TCP MD5 password: the same one is needed on both sides', async () => {
    const node = lab.node(0);
    const secret = { address: node.ipv4, password: 'sesame' };
    const speaks = (password: string): SpeakerOptions =>
      options(node.ipv4, [peer(lab.router.ipv4, [4], { password })]);
    await withSession(secret, speaks('sesame'), async () => {
      await untilHops(vip4, [node.ipv4]);
    });
    await untilHops(vip4, []);
    for (const wrong of ['', 'mellon']) {
      await withSession(secret, speaks(wrong), async (router, subject) => {
        // Longer than the right one needed; what was not signed right is dropped by the kernel.
        await waitFor(() => subject.attempts >= 2, { what: 'a second attempt' });
        const [status] = subject.speaker.status();
        assert.notEqual(status?.state, 'established');
        assert.match(status?.reason ?? '', /no answer/);
        assert.match(await router.session(node.ipv4), /BGP state:\s+(Active|Passive)/);
      });
    }
  });

  test('BGP-08 multihop reaches a peer behind a router; without it the hop limit is 1', async () => {
    const node = lab.node(0);
    const { remote } = lab;
    assert.ok(remote !== undefined);
    const far = { address: node.ipv4, multihop: true };
    await withSession(
      far,
      options(node.ipv4, [peer(remote.ipv4, [4], { ttl: 50 })]),
      async (router) => {
        await router.waitEstablished(node.ipv4);
        assert.match(await router.route(`${vip4}/32`), new RegExp(`BGP.next_hop: ${node.ipv4}`));
      },
      { machine: remote },
    );
    await withSession(
      far,
      options(node.ipv4, [peer(remote.ipv4, [4], { ttl: 1 })]),
      async (_, subject) => {
        await waitFor(() => subject.attempts >= 2, { what: 'a second attempt' });
        assert.notEqual(subject.speaker.status()[0]?.state, 'established');
      },
      { machine: remote },
    );
  });

  test('BGP-02 the port of a peer counts', async () => {
    const node = lab.node(0);
    await withSession(
      { address: node.ipv4 },
      options(node.ipv4, [peer(lab.router.ipv4, [4], { port: 1179 })]),
      async () => {
        await untilHops(vip4, [node.ipv4]);
      },
      { port: 1179 },
    );
  });

  test('a router on which nothing listens is said to refuse the connection', async () => {
    const node = lab.node(0);
    const subject = new NodeSpeaker(node.namespace);
    try {
      subject.speaker.start(options(node.ipv4, [peer(lab.router.ipv4, [4])]));
      await waitFor(() => subject.speaker.status()[0]?.state === 'active', { what: 'the refusal' });
      assert.equal(
        subject.speaker.status()[0]?.reason,
        `not connected: connect to ${lab.router.ipv4} port 179: connection refused (ECONNREFUSED)`,
      );
    } finally {
      await subject.stop();
    }
  });

  test('BGP-25 a session comes from the source address, and from the source link', async () => {
    const node = lab.node(0);
    const other = ip('10.77.0.211');
    await node.ip(`addr add ${other}/24 dev eth0`);
    try {
      const sourced = peer(lab.router.ipv4, [4], { localAddress: other });
      await withSession({ address: other }, options(node.ipv4, [sourced]), async () => {
        await untilHops(vip4, [other]);
      });
      await untilHops(vip4, []);
      await node.ip('link add way type veth peer name yaw', 'link set way up', 'link set yaw up');
      // A better route that leads nowhere: only a session bound to eth0 arrives.
      await node.ip(`route add ${lab.router.ipv4}/32 dev way`);
      const bound = peer(lab.router.ipv4, [4], { device: 'eth0' });
      await withSession({ address: node.ipv4 }, options(node.ipv4, [bound]), async () => {
        await untilHops(vip4, [node.ipv4]);
      });
    } finally {
      await node.tryRun('ip', ['link', 'del', 'way']);
      await node.ip(`addr del ${other}/24 dev eth0`);
    }
  });

  test('BGP-26 after the router has died and come back, everything is announced again', async () => {
    const node = lab.node(0);
    const neighbor = { address: node.ipv4, as: NODE_AS };
    const router = await Bird.start(lab.router, { as: ROUTER_AS, neighbors: [neighbor] });
    const subject = new NodeSpeaker(node.namespace);
    const second = ip('198.51.100.11');
    let again: Bird | undefined;
    try {
      subject.want(vip4);
      subject.speaker.start(options(node.ipv4, [peer(lab.router.ipv4, [4])]));
      await untilHops(vip4, [node.ipv4]);
      await router.process.kill();
      await waitFor(() => subject.speaker.status()[0]?.state !== 'established', { what: 'the loss' });
      assert.deepEqual(subject.speaker.status()[0]?.advertised, []);
      // Wanted while there is nobody to tell.
      subject.want(vip4, second);
      await lab.router.tryRun('ip', ['route', 'flush', 'proto', 'bird']);
      again = await Bird.start(lab.router, { as: ROUTER_AS, neighbors: [neighbor] });
      await untilHops(vip4, [node.ipv4]);
      await untilHops(second, [node.ipv4]);
      assert.equal(subject.speaker.status()[0]?.sessions, 2);
    } finally {
      await subject.stop();
      await router.process.kill();
      await again?.stop();
    }
  });

  test('BGP-12 two nodes with the same VIP are one multipath route', async () => {
    const [first, second] = [lab.node(0), lab.node(1)];
    const neighbors = [first, second].map(({ ipv4 }) => ({ address: ipv4, as: NODE_AS }));
    const router = await Bird.start(lab.router, { as: ROUTER_AS, neighbors });
    const subjects = [first, second].map((node) => {
      const subject = new NodeSpeaker(node.namespace);
      subject.want(vip4);
      subject.speaker.start(options(node.ipv4, [peer(lab.router.ipv4, [4])]));
      return subject;
    });
    try {
      await untilHops(vip4, [first.ipv4, second.ipv4]);
      subjects[0]?.want();
      await untilHops(vip4, [second.ipv4]);
    } finally {
      for (const subject of subjects) await subject.stop();
      await router.stop();
    }
  });

  test('the router may ask for everything again (RFC 2918)', async () => {
    const node = lab.node(0);
    await withSession(
      { address: node.ipv4 },
      options(node.ipv4, [peer(lab.router.ipv4, [4])]),
      async (router) => {
        await untilHops(vip4, [node.ipv4]);
        const updates = async (): Promise<number> =>
          Number(/Import updates:\s+(\d+)/.exec(await router.session(node.ipv4))?.[1] ?? 'NaN');
        const before = await updates();
        assert.ok(before > 0);
        await router.ask('reload in n1');
        await waitFor(async () => (await updates()) > before, { what: 'the routes once more' });
      },
    );
  });
});
