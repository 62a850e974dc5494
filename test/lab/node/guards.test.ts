import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { familyOf, parsePrefix, type Ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import {
  openKernel,
  openNftables,
  systemClock,
  type Nftables,
  type OpenKernel,
} from '../../../src/linux/index.ts';
import { createNode, type Node, type Spec } from '../../../src/node/index.ts';
import type { GuardedPort } from '../../../src/node/types.ts';
import { addressOf, LINK, namespaceOf, run, runHere, until, vipOf, World } from '../balancer/world.ts';

const table = 'kube-vip-guard';
const service = 'service/shop/web';
const open: GuardedPort = { protocol: 'tcp', port: 443, sources: undefined };

/** Guards of VIPs on a real kernel, seen from another machine. */
describe('SVC-32 service security', () => {
  let world: World;
  let kernel: OpenKernel;
  let nftables: Nftables;
  let node: Node;

  before(() => {
    world = new World({ directReturn: false, vips: 0 });
    kernel = openKernel({ clock: systemClock() });
    nftables = openNftables(kernel.poller);
  });
  after(async () => {
    nftables.close();
    kernel.close();
    await world.close();
  });
  beforeEach(() => start());
  afterEach(() => {
    node.withdraw(service);
    node.sweep();
    node.close();
    runHere('nft flush ruleset');
  });

  async function start(): Promise<void> {
    node = createNode({ kernel, clock: systemClock(), log: silentLogger, guards: { nftables, table } });
    await node.start();
  }

  function specs(vip: Ip, ports: readonly GuardedPort[]): readonly Spec[] {
    const prefixLength = familyOf(vip) === 4 ? 32 : 128;
    const address = {
      vip,
      link: LINK,
      prefixLength,
      scope: 'global',
      noDad: true,
      validLifetime: undefined,
    } as const;
    return [
      { kind: 'guard', vip, link: LINK, ports },
      { kind: 'address', ...address },
      { kind: 'announcement', vip, link: LINK, periodMs: 3000 },
    ];
  }

  /** Who answers the client on this port; undefined when nobody does. */
  async function answers(vip: Ip, port: number): Promise<string | undefined> {
    try {
      const connection = await world.connectFrom('client', vip, port, 400);
      connection.close();
      return connection.server;
    } catch {
      return undefined;
    }
  }

  /** Not at the first try, perhaps, on a busy machine. */
  const untilAnswered = (vip: Ip, port: number): Promise<void> =>
    until(`an answer from the holder at port ${port}`, async () => (await answers(vip, port)) === 'holder');

  function pings(target: Ip, ...options: readonly string[]): boolean {
    try {
      run('client', ['ping', '-c', '1', '-W', '1', ...options, target].join(' '));
      return true;
    } catch {
      return false;
    }
  }

  /** Datagrams that came through to the holder's own programs. */
  function countDatagrams(vip: Ip, port: number, send: number): number {
    const l3 = familyOf(vip) === 4 ? 'ip' : 'ip6';
    runHere('nft add table inet judge');
    execFileSync('nft', [
      'add chain inet judge input { type filter hook input priority 0; }; ' +
        `add rule inet judge input ${l3} daddr ${vip} udp dport ${port} counter`,
    ]);
    for (let n = 0; n < send; n++)
      execFileSync('ip', [
        'netns',
        'exec',
        namespaceOf('client'),
        'bash',
        '--norc',
        '-c',
        `echo x >/dev/udp/${vip}/${port}`,
      ]);
    const text = runHere('nft list table inet judge');
    runHere('nft delete table inet judge');
    return Number(/counter packets (\d+)/.exec(text)?.[1]);
  }

  for (const family of [4, 6] as const) {
    const vip = vipOf(1, family);

    it(`IPv${family}: only the Service's ports reach the VIP, the node's own address is left alone`, async () => {
      node.publish(service, specs(vip, [open, { protocol: 'udp', port: 53, sources: undefined }]));
      await untilAnswered(vip, 443);
      assert.equal(await answers(vip, 6443), undefined, 'a port of the node');
      assert.equal(pings(vip), false, 'ICMP');
      assert.equal(countDatagrams(vip, 53, 2), 2);
      assert.equal(countDatagrams(vip, 443, 2), 0, 'TCP port 443, not UDP');
      assert.equal(countDatagrams(vip, 68, 1), 1, 'DHCP client');
      const own = addressOf('holder', family);
      await untilAnswered(own, 6443);
      assert.equal(pings(own), true);
    });

    it(`IPv${family}: ports follow the Service, and all is open again when it is not guarded`, async () => {
      node.publish(service, specs(vip, [open]));
      node.publish(service, specs(vip, [{ ...open, port: 6443 }]));
      assert.equal(await answers(vip, 443), undefined);
      await untilAnswered(vip, 6443);
      node.publish(
        service,
        specs(vip, []).filter(({ kind }) => kind !== 'guard'),
      );
      await untilAnswered(vip, 443);
      assert.equal(pings(vip), true);
      assert.equal(runHere('nft list ruleset'), '');
    });

    it(`IPv${family}: source ranges count even where kube-proxy translates the VIP first thing`, async () => {
      const l3 = family === 4 ? 'ip' : 'ip6';
      run(
        'holder',
        family === 4 ? 'sysctl -qw net.ipv4.ip_forward=1' : 'sysctl -qw net.ipv6.conf.all.forwarding=1',
      );
      const server = addressOf('server1', family);
      const to = family === 4 ? `${server}:443` : `[${server}]:443`;
      execFileSync('nft', [
        `table ${l3} proxy {
          chain pre { type nat hook prerouting priority dstnat; ${l3} daddr ${vip} tcp dport 443 dnat to ${to}; }
          chain post { type nat hook postrouting priority srcnat; masquerade; }
        }`,
      ]);
      const from = async (...ranges: readonly string[]): Promise<string | undefined> => {
        const sources = ranges.map((range) => parsePrefix(range) ?? assert.fail(range));
        node.publish(service, specs(vip, [{ ...open, sources }]));
        return answers(vip, 443);
      };
      const [host, net, other] =
        family === 4
          ? ['10.77.0.1/32', '10.77.0.200/24', '10.78.0.0/16']
          : ['fd77::1/128', 'fd77::ffff/64', 'fd78::/16'];
      const otherFamily = family === 4 ? '::/0' : '0.0.0.0/0';
      assert.equal(await from(other, host), 'server1');
      assert.equal(await from(net), 'server1', 'bits after the prefix do not matter');
      assert.equal(await from(other), undefined);
      assert.equal(await from(otherFamily), undefined, 'ranges of the other family let nobody in');
    });

    it(`IPv${family}: rules that somebody flushed are back`, async () => {
      node.publish(service, specs(vip, [open]));
      runHere('nft flush ruleset');
      await until('the rules are back', () => runHere('nft list ruleset').includes(table));
      await untilAnswered(vip, 443);
      assert.equal(await answers(vip, 6443), undefined);
    });

    it(`IPv${family}: a crash leaves the VIP guarded; the next process takes over or cleans up`, async () => {
      node.publish(service, specs(vip, [open]));
      node.close();
      assert.equal(await answers(vip, 6443), undefined, 'nobody is at work');
      await start();
      node.publish('service/shop/other', specs(vipOf(2, family), [open]));
      await untilAnswered(vip, 443);
      assert.equal(await answers(vip, 6443), undefined);
      node.withdraw('service/shop/other');
      node.sweep();
      assert.equal(runHere('nft list ruleset'), '');
    });

    it(`IPv${family}: answers to what leaves with the VIP as its source come back`, () => {
      node.publish(service, specs(vip, [open]));
      run('holder', `ping -c 1 -W 1 -I ${vip} ${addressOf('server1', family)}`);
    });
  }

  it('the watch knows whether it has heard of every batch, whoever sent it', async () => {
    let heard = 0;
    const watch = nftables.watch('other', () => heard++);
    assert.equal(watch.hasHeardAll(), true);
    node.publish(service, specs(vipOf(0, 4), [open]));
    runHere('nft add table ip other');
    // The event is there, and not read yet.
    assert.equal(watch.hasHeardAll(), false);
    await until('the event', () => heard === 1);
    runHere('nft add table ip6 third');
    runHere('nft add table ip6 other');
    await until('the next event', () => heard === 2);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(watch.hasHeardAll(), true);
    watch.close();
  });

  it('IPv6: a router may probe its neighbour entry for the VIP at the VIP itself', async () => {
    const vip = vipOf(1, 6);
    node.publish(service, specs(vip, [open]));
    await untilAnswered(vip, 443);
    run('client', `ip -6 neigh change ${vip} dev ${LINK} nud probe`);
    await until('the entry is reachable', () =>
      run('client', `ip -6 neigh show ${vip}`).includes('REACHABLE'),
    );
  });

  it('what this process writes itself is no news to it; what others write is', async () => {
    let heard = 0;
    const watch = nftables.watch(table, () => heard++);
    node.publish(service, specs(vipOf(1, 4), [open]));
    // Events come in the order of the changes: ours would be heard first.
    runHere(`nft add chain ip ${table} somebody`);
    await until('the change is heard', () => heard > 0);
    watch.close();
    assert.equal(heard, 1);
  });

  it('Services with more ports than a set of a fixed size would take hold nobody back', () => {
    const many = Array.from({ length: 33_000 }, (_, i): GuardedPort => ({ ...open, port: 1024 + i }));
    node.publish(service, [...specs(vipOf(1, 4), many), ...specs(vipOf(2, 4), many)]);
    node.publish(service, [
      ...specs(vipOf(1, 4), many),
      ...specs(vipOf(2, 4), many),
      ...specs(vipOf(3, 4), [open]),
    ]);
    const addresses = runHere('ip -4 -o address');
    for (const n of [1, 2, 3]) assert.match(addresses, new RegExp(`${vipOf(n, 4)}/`));
  });

  it('nft(8) prints the rules, and takes them back', () => {
    const sources = ['10.0.0.0/8', '192.0.2.128/25'].map((text) => parsePrefix(text) ?? assert.fail(text));
    node.publish(service, [
      ...specs(vipOf(1, 4), [open, { protocol: 'sctp', port: 9999, sources }]),
      ...specs(vipOf(1, 6), [open]),
    ]);
    const text = runHere('nft list ruleset');
    execFileSync('nft', ['-c', '-f', '-'], { input: text });
    const plain = text.replaceAll(/ comment "[^"]*"/g, '').replaceAll(/from_\w+/g, 'from_X');
    for (const line of [
      'type filter hook prerouting priority mangle; policy accept;',
      'ip daddr @vips goto guard',
      'ct direction reply accept',
      'icmpv6 type nd-neighbor-solicit accept',
      'ip daddr . meta l4proto . th dport vmap @ports',
      'ip daddr @closed drop',
      '10.77.0.101 . sctp . 9999 : goto from_X',
      'ip saddr 192.0.2.128/25 accept',
    ])
      assert.ok(plain.includes(line), `${line}\nis not in\n${plain}`);
  });
});
