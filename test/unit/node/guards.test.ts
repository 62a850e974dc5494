import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, parsePrefix, type Prefix } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { errnoOf, KernelError } from '../../../src/linux/errors.ts';
import { createNode, type Node } from '../../../src/node/index.ts';
import type { GuardedPort, GuardSpec } from '../../../src/node/types.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { FakeNftables } from '../../../src/testing/fake-nftables.ts';
import { addressOf } from './scene.ts';

const table = 'kube-vip-guard';

class Scene {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel({ clock: this.clock });
  readonly nftables = new FakeNftables();
  /** What addresses there were when the rules changed. */
  readonly story: string[] = [];
  node: Node;

  private constructor() {
    this.kernel.addLink({ name: 'eth0' });
    this.nftables.watch(table, () => {
      const addresses = this.kernel.showAddresses({ protocol: 248 }) === '' ? 'no address' : 'address';
      this.story.push(`rules change: ${addresses}`);
    });
    this.node = this.newNode();
  }

  static async start(): Promise<Scene> {
    const made = new Scene();
    await made.node.start();
    return made;
  }

  /** What an observer heard of VIPs that are held back. */
  readonly heard: string[] = [];

  has(vip: string): boolean {
    return this.kernel.showAddresses().includes(`${vip}/`);
  }

  /** Routes in our table. */
  async routes(): Promise<readonly string[]> {
    return (await this.kernel.routes({ table: 198 })).map(
      ({ destination }) => `${destination?.address}/${destination?.length}`,
    );
  }

  async restart(): Promise<void> {
    this.node.close();
    this.node = this.newNode();
    await this.node.start();
  }

  /** `port: verdict` of a VIP, and whether the rest is dropped; undefined when it is not guarded. */
  guardOf(vip: string): string | undefined {
    const family = vip.includes(':') ? 'ip6' : 'ip';
    const key = keyOf(vip);
    const set = (name: string): string =>
      this.nftables.show().find((line) => line.startsWith(`${family} ${table}: set ${name}: `)) ?? '';
    if (!set('vips').includes(key)) return undefined;
    const ports = [
      ...set('ports').matchAll(new RegExp(`${key}(\\w\\w)000000(\\w{4})0000 (\\S+?)(?:,|$)`, 'g')),
    ];
    const texts = ports.map(([, protocol = '', port = '', verdict = '']) => {
      const chain = /from_\w+/.exec(verdict)?.[0];
      return `${Number.parseInt(protocol, 16)}/${Number.parseInt(port, 16)}${chain === undefined ? '' : ` ${this.sources(chain)}`}`;
    });
    return `${texts.join(', ')} ${set('closed').includes(key) ? 'closed' : 'open'}`;
  }

  private sources(chain: string): string {
    const line = this.nftables.show().find((each) => each.includes(`chain ${chain}: `)) ?? '';
    return [...line.matchAll(/from (\S*\d\S*\/\d+)/g)].map(([, prefix]) => prefix).join('+');
  }

  private newNode(): Node {
    const { kernel, clock, nftables } = this;
    const observer = {
      heldBack: (vip: string, _by: string, problem?: string) =>
        this.heard.push(`${vip} ${problem ?? 'free'}`),
    };
    const routes = { table: 198, protocol: 248, type: 1 };
    return createNode(
      { kernel, clock, log: silentLogger, observer, guards: { nftables, table } },
      { routes },
    );
  }
}

function keyOf(vip: string): string {
  if (!vip.includes(':'))
    return vip
      .split('.')
      .map((part) => Number(part).toString(16).padStart(2, '0'))
      .join('');
  assert.equal(vip, '2001:db8::1');
  return '20010db8000000000000000000000001';
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

function guard(vip: string, ...ports: readonly (number | GuardedPort)[]): GuardSpec {
  const all = ports.map((port): GuardedPort =>
    typeof port === 'number' ? { protocol: 'tcp', port, sources: undefined } : port,
  );
  return { kind: 'guard', vip: ip(vip), link: 'eth0', ports: all };
}

const web = 'service/shop/web';
const api = 'service/shop/api';

test('a VIP is guarded before it is there, and until it has gone', async () => {
  const { node, story, nftables, kernel } = await Scene.start();
  node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  assert.match(kernel.showAddresses(), /192\.0\.2\.1/);
  assert.deepEqual(story, ['rules change: no address']);
  node.withdraw(web);
  assert.deepEqual(story, ['rules change: no address', 'rules change: no address']);
  assert.deepEqual(nftables.show(), []);
});

test('SVC-32 a VIP whose rules cannot be written is held back until they can; the others stay', async () => {
  const s = await Scene.start();
  s.node.publish(api, [addressOf('192.0.2.2'), guard('192.0.2.2', 81)]);
  s.nftables.failAll(errnoOf.ENOMEM);
  const route = { kind: 'route', vip: ip('192.0.2.3'), link: 'eth0', turn: 0 } as const;
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80), route, guard('192.0.2.3', 80)]);
  s.node.publish('control-plane', [addressOf('192.0.2.9')]);
  assert.deepEqual([s.has('192.0.2.1'), s.has('192.0.2.2'), s.has('192.0.2.9')], [false, true, true]);
  await s.clock.advance(8000);
  assert.deepEqual([s.has('192.0.2.1'), s.has('192.0.2.2'), await s.routes()], [false, true, []]);
  const states = s.node.status().filter(({ spec }) => spec.vip === '192.0.2.1' && spec.kind === 'address');
  assert.deepEqual(
    states.map(({ state }) => state),
    [{ state: 'waiting', reason: 'its rules in nftables' }],
  );
  assert.match(s.heard.join('; '), /^192.0.2.1 .*ENOMEM\); 192.0.2.3 .*ENOMEM\)$/);
  s.heard.length = 0;
  s.nftables.failAll(undefined);
  await s.clock.advance(6000);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 closed');
  assert.deepEqual([s.has('192.0.2.1'), await s.routes()], [true, ['192.0.2.3/32']]);
  assert.deepEqual(s.heard, ['192.0.2.1 free', '192.0.2.3 free']);
});

test('SVC-32 a VIP whose rules somebody removed for good goes, and a withdrawn one leaves nothing waiting', async () => {
  const s = await Scene.start();
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  s.node.publish(api, [addressOf('192.0.2.2'), guard('192.0.2.2', 81)]);
  const commit = s.nftables.commit.bind(s.nftables);
  s.nftables.commit = () => {
    throw new KernelError({ op: 'change nf_tables', errno: errnoOf.ENOMEM });
  };
  s.nftables.flush();
  await s.clock.advance(100);
  assert.deepEqual([s.has('192.0.2.1'), s.has('192.0.2.2')], [false, false]);
  s.node.withdraw(api);
  s.nftables.commit = commit;
  await s.clock.advance(6000);
  assert.deepEqual([s.has('192.0.2.1'), s.has('192.0.2.2')], [true, false]);
});

test('a firewall that cannot even be read holds back what is new', async () => {
  const s = await Scene.start();
  s.node.publish(api, [addressOf('192.0.2.2'), guard('192.0.2.2', 81)]);
  s.nftables.failAll(errnoOf.ENOMEM);
  await s.clock.advance(10_000);
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  assert.deepEqual([s.has('192.0.2.1'), s.has('192.0.2.2')], [false, true]);
});

test('a VIP that another owner wants open is not held back', async () => {
  const s = await Scene.start();
  s.nftables.failAll(errnoOf.ENOMEM);
  s.node.publish('control-plane', [addressOf('192.0.2.1')]);
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  await s.clock.advance(1000);
  assert.equal(s.has('192.0.2.1'), true);
});

test('ports and source ranges follow the spec', async () => {
  const s = await Scene.start();
  const ranged = {
    protocol: 'udp',
    port: 53,
    sources: [prefix('10.0.0.0/8'), prefix('2001:db8::/32')],
  } as const;
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80, ranged)]);
  assert.equal(s.guardOf('192.0.2.1'), '6/80, 17/53 10.0.0.0/8 closed');
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 443)]);
  assert.equal(s.guardOf('192.0.2.1'), '6/443 closed');
  s.node.publish(web, [addressOf('192.0.2.1'), addressOf('2001:db8::1'), guard('2001:db8::1', ranged)]);
  assert.equal(s.guardOf('192.0.2.1'), undefined);
  assert.equal(s.guardOf('2001:db8::1'), '17/53 2001:db8::/32 closed');
});

test('owners who share a VIP let in what any of them lets in; one that does not guard it leaves it open', async () => {
  const s = await Scene.start();
  const from = (text: string): GuardedPort => ({ protocol: 'tcp', port: 80, sources: [prefix(text)] });
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', from('10.0.0.0/8'), 81)]);
  s.node.publish(api, [addressOf('192.0.2.1'), guard('192.0.2.1', from('172.16.0.0/12'))]);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 10.0.0.0/8+172.16.0.0/12, 6/81 closed');
  s.node.publish('control-plane', [addressOf('192.0.2.1')]);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 10.0.0.0/8+172.16.0.0/12, 6/81 open');
  s.node.withdraw('control-plane');
  s.node.withdraw(web);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 172.16.0.0/12 closed');
});

test('rules that somebody flushed are back', async () => {
  const s = await Scene.start();
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  s.nftables.flush();
  assert.equal(s.guardOf('192.0.2.1'), undefined);
  await s.clock.advance(5);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 closed');
});

test('nothing is read again at rest, and what events did not tell is found', async () => {
  const s = await Scene.start();
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  await s.clock.advance(1000);
  const { reads } = s.nftables;
  await s.clock.advance(60_000);
  assert.equal(s.nftables.reads, reads);
  s.nftables.flushUnheard();
  await s.clock.advance(10_100);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 closed');
});

test('after a crash a VIP stays guarded as it was until its Service is known, or it is swept', async () => {
  const s = await Scene.start();
  const sources = [prefix('10.0.0.0/8')];
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', { protocol: 'tcp', port: 80, sources })]);
  s.node.publish(api, [addressOf('192.0.2.2'), guard('192.0.2.2', 81)]);
  await s.restart();
  s.node.publish('service/shop/new', [addressOf('192.0.2.3'), guard('192.0.2.3', 82)]);
  assert.equal(s.guardOf('192.0.2.1'), '6/80 10.0.0.0/8 closed');
  assert.equal(s.guardOf('192.0.2.2'), '6/81 closed');
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 90)]);
  s.node.sweep(({ address }) => address.address === '192.0.2.9');
  assert.equal(s.guardOf('192.0.2.1'), '6/90 closed');
  assert.equal(s.guardOf('192.0.2.2'), '6/81 closed', 'its address is there still');
  s.node.sweep();
  assert.equal(s.guardOf('192.0.2.2'), undefined);
});

test('SVC-32 what a predecessor guarded is swept first, then a new VIP comes: it is guarded and there', async () => {
  const s = await Scene.start();
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  await s.restart();
  s.node.sweep();
  assert.deepEqual([s.has('192.0.2.1'), s.nftables.show()], [false, []]);
  s.node.publish(web, [addressOf('192.0.2.2'), guard('192.0.2.2', 80)]);
  assert.deepEqual([s.has('192.0.2.2'), s.guardOf('192.0.2.2')], [true, '6/80 closed']);
});

test('SVC-32 a VIP that is held back for a moment only, shorter than it takes to be told, comes all the same', async () => {
  const s = await Scene.start();
  s.node.publish(api, [addressOf('192.0.2.2'), guard('192.0.2.2', 81)]);
  await s.clock.advance(100);
  s.nftables.failNext(errnoOf.ENOENT);
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  assert.equal(s.has('192.0.2.1'), false);
  await s.clock.advance(100);
  assert.deepEqual([s.has('192.0.2.1'), s.guardOf('192.0.2.1')], [true, '6/80 closed']);
});

test('rules of a predecessor of whose VIPs none is left are removed', async () => {
  const s = await Scene.start();
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  s.kernel.takeAddress('eth0', '192.0.2.1', 32);
  s.node.close();
  await s.restart();
  s.node.sweep();
  assert.deepEqual(s.nftables.show(), []);
});

test('a firewall that refuses is tried again, and the status says so', async () => {
  const s = await Scene.start();
  s.nftables.failNext(errnoOf.EPERM);
  s.node.publish(web, [addressOf('192.0.2.1'), guard('192.0.2.1', 80)]);
  const state = (): string | undefined =>
    s.node.status().find(({ spec }) => spec.kind === 'guard')?.state.state;
  assert.equal(state(), 'failed');
  await s.clock.advance(100);
  assert.equal(state(), 'ready');
  assert.equal(s.guardOf('192.0.2.1'), '6/80 closed');
});
