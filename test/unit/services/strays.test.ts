import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger, type LogFields, type Logger } from '../../../src/lib/log.ts';
import { projectService, removeStrays } from '../../../src/services/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const periodMs = 5000;
const globalLease = 'kube-system/plndr-svcs-lock';
const vip = ip('192.0.2.1');

interface Wish {
  readonly host?: string;
  readonly address?: string;
  readonly leaseName?: string;
}

/** A node `a` with the VIP of a Service on its link, beside a Service that says these things. */
function scene(...wishes: readonly Wish[]) {
  const clock = new FakeClock();
  const vips = new Set([vip]);
  const holders = new Map<string, string>();
  const stopped = new Set<string>();
  const said: string[] = [];
  let lists = 0;
  const scene_ = { fails: false };
  const log: Logger = {
    ...silentLogger,
    warn: (message: string, fields: LogFields = {}) => said.push(`${message} ${JSON.stringify(fields)}`),
  };
  const services = wishes.map(({ host, address = vip, leaseName }, n) =>
    projectService({
      metadata: {
        name: `web${n}`,
        namespace: 'shop',
        annotations: {
          'kube-vip.io/loadbalancerIPs': address,
          ...(host === undefined ? {} : { 'kube-vip.io/vipHost': host }),
          ...(leaseName === undefined ? {} : { 'kube-vip.io/leaseName': leaseName }),
        },
      },
    }),
  );
  const stop = new AbortController();
  const done = removeStrays(
    {
      vips: () => [...vips],
      remove: (gone) => {
        for (const each of gone) vips.delete(each);
      },
      services: () => {
        lists++;
        return scene_.fails ? Promise.reject(new Error('forbidden')) : Promise.resolve(services);
      },
      lease: (key) => {
        const holder = holders.get(key);
        return Promise.resolve(
          holder === undefined ? undefined : { holder, version: stopped.has(key) ? 'old' : String(lists) },
        );
      },
      clock,
      log,
    },
    { node: 'a', globalLease, periodMs },
    stop.signal,
  );
  return {
    clock,
    holders,
    stopped,
    said,
    scene: scene_,
    lists: () => lists,
    isThere: () => vips.has(vip),
    vips,
    end: async () => {
      stop.abort();
      await done;
    },
  };
}

for (const [what, lease, leaseName] of [
  ['the common lease', globalLease, undefined],
  ['a lease of the Service', 'shop/kubevip-web0', undefined],
  ['a lease that it names', 'infra/edge', 'infra/edge'],
] as const)
  test(`a VIP whose host is another node, which renews ${what}, goes`, async () => {
    const { clock, holders, isThere, end } = scene({
      host: 'b',
      ...(leaseName === undefined ? {} : { leaseName }),
    });
    holders.set(lease, 'b');
    await clock.advance(0);
    assert.equal(isThere(), true, 'one look does not tell whether the lease is alive');
    await clock.advance(periodMs + 10);
    assert.equal(isThere(), false);
    await end();
  });

const staying: readonly (readonly [string, readonly Wish[], string | undefined])[] = [
  ['no Service claims it: another cluster may have it', [{ host: 'b', address: '192.0.2.9' }], 'b'],
  ['no node says that it is the host', [{}], 'b'],
  ['the Service says that this node is the host', [{ host: 'A' }], 'b'],
  ['one of two Services says so', [{ host: 'b' }, { host: 'a' }], 'b'],
  ['this node holds the lease', [{ host: 'b' }], 'a'],
  ['a third node holds the lease', [{ host: 'b' }], 'c'],
  ['there is no lease', [{ host: 'b' }], undefined],
];
for (const [why, wishes, holder] of staying)
  test(`a VIP stays when ${why}`, async () => {
    const { clock, holders, isThere, lists, end } = scene(...wishes);
    if (holder !== undefined) holders.set(globalLease, holder);
    await clock.advance(3600_000);
    assert.equal(isThere(), true);
    assert.equal(lists(), 20, 'and nobody asks for ever');
    await end();
  });

test('one that comes back has somebody here who wants it, and stays', async () => {
  const { clock, holders, vips, isThere, end } = scene({ host: 'b' });
  vips.add(ip('192.0.2.8'));
  holders.set(globalLease, 'b');
  await clock.advance(2 * periodMs);
  assert.equal(isThere(), false);
  vips.add(vip);
  await clock.advance(10 * periodMs);
  assert.equal(isThere(), true);
  await end();
});

test('a VIP stays when this node holds another lease that may decide about it', async () => {
  const { clock, holders, isThere, end } = scene({ host: 'b' });
  holders.set(globalLease, 'b');
  holders.set('shop/kubevip-web0', 'a');
  await clock.advance(10 * periodMs);
  assert.equal(isThere(), true);
  await end();
});

test('a lease that nobody renews any more is no sign of life', async () => {
  const { clock, holders, stopped, isThere, end } = scene({ host: 'b' });
  holders.set(globalLease, 'b');
  stopped.add(globalLease);
  await clock.advance(3 * periodMs);
  assert.equal(isThere(), true);
  await end();
});

test('the log says once what is there and why it stays, and once what cannot be read; then it is looked again', async () => {
  const { clock, holders, said, scene: api, isThere, end } = scene({ host: 'b' });
  holders.set(globalLease, 'b');
  api.fails = true;
  await clock.advance(4 * periodMs);
  assert.equal(said.length, 2);
  assert.match(said[0] ?? '', /svc_enable is off.*another kube-vip.*ip addr del.*"vip":"192\.0\.2\.1"/);
  assert.match(said[1] ?? '', /not known.*forbidden/);
  api.fails = false;
  await clock.advance(3 * periodMs);
  assert.equal(isThere(), false);
  await end();
});

test('thousands of VIPs and Services are looked at once each, and go in turns', async () => {
  const all = Array.from({ length: 2000 }, (_, i) => ip(`10.9.${i >> 8}.${i & 255}`));
  let reads = 0;
  const services = all.map((address, i) => {
    const service = projectService({
      metadata: {
        name: `web${i}`,
        namespace: 'shop',
        annotations: { 'kube-vip.io/loadbalancerIPs': address, 'kube-vip.io/vipHost': 'b' },
      },
    });
    return {
      get metadata() {
        reads++;
        return service.metadata;
      },
    };
  });
  const clock = new FakeClock();
  const vips = new Set(all);
  const turns: number[] = [];
  const stop = new AbortController();
  let version = 0;
  const done = removeStrays(
    {
      vips: () => [...vips],
      remove: (gone) => {
        turns.push(gone.size);
        for (const each of gone) vips.delete(each);
      },
      services: () => Promise.resolve(services),
      lease: (key) =>
        Promise.resolve(key === globalLease ? { holder: 'b', version: String(version++) } : undefined),
      clock,
      log: silentLogger,
    },
    { node: 'a', globalLease, periodMs },
    stop.signal,
  );
  await clock.advance(periodMs + 10);
  assert.equal(vips.size, 0);
  assert.ok(Math.max(...turns) <= 256, turns.join());
  assert.ok(reads < 40 * all.length, `${reads} reads`);
  stop.abort();
  await done;
});
