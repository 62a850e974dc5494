import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ensurePrivilege, Monitor, waitFor } from '../../../lab/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { holding, owners, percentile, setStage, type Stage } from './stage.ts';

const refused = ensurePrivilege();

describe('addresses on the real kernel', { skip: refused?.because ?? false }, () => {
  let stage: Stage;
  const vip = ip('10.77.0.100');
  const vip6 = ip('fd00:77::100');

  before(async () => {
    stage = await setStage({ isClaimed: (other) => other === vip });
  });
  after(async () => {
    await stage.stop();
  });
  afterEach(() => {
    for (const owner of owners) stage.node().withdraw(owner);
  });

  const find = async (address: string): Promise<Readonly<Record<string, unknown>> | undefined> =>
    (await stage.machine.addresses()).find(({ local }) => local === address);
  const gone = (address: string): Promise<true> =>
    waitFor(async () => (await find(address)) === undefined, { what: `${address} to be gone` });
  const settled = (address: string): Promise<unknown> =>
    waitFor(async () => (await find(address))?.['tentative'] === undefined && (await find(address)), {
      what: `${address} to be through with detection`,
    });

  it('puts a VIP on the link as a deprecated address with our mark, and takes it off', async () => {
    stage.node().publish('control-plane', holding([vip]));
    const found = await find(vip);
    assert.equal(found?.['prefixlen'], 32);
    assert.equal(found['scope'], 'global');
    assert.equal(found['deprecated'], true);
    assert.equal(found['valid_life_time'], 4294967295);
    const [own] = (await stage.kernel.addresses()).filter(({ address }) => address === vip);
    assert.equal(own?.protocol, 248);
    stage.node().withdraw('control-plane');
    assert.equal(await find(vip), undefined);
  });

  it('forgets where a VIP was before: two nodes that pass packets on would send it to and fro', async () => {
    const former = ['lladdr', '02:00:00:00:00:09', 'dev', 'eth0', 'nud', 'stale'];
    const vips = [ip('10.77.0.101'), ip('fd00:77::101')];
    for (const address of vips) await stage.machine.run('ip', ['neigh', 'add', address, ...former]);
    stage.node().publish('control-plane', holding(vips, { noDad: true }));
    const known = async (): Promise<string> => stage.machine.run('ip', ['neigh', 'show', 'nud', 'stale']);
    assert.match(await known(), /:00:09/);
    await waitFor(async () => !(await known()).includes(':00:09'), { what: 'the entries to be gone' });
  });

  it('CP-93 an IPv6 VIP is /128 and deprecated; detection runs, or with skipdad the nodad flag is set', async () => {
    stage.node().publish('control-plane', holding([vip6]));
    const detecting = await find(vip6);
    assert.equal(detecting?.['tentative'], true);
    assert.equal(detecting['nodad'], undefined);
    const found = await waitFor(async () => stage.news.includes(`ready ${vip6}`) && (await find(vip6)), {
      what: 'the end of detection',
    });
    assert.equal(found['prefixlen'], 128);
    assert.equal(found['deprecated'], true);
    assert.equal(found['tentative'], undefined);
    stage.node().withdraw('control-plane');
    stage.node().publish('control-plane', holding([vip6], { noDad: true }));
    const skipped = await find(vip6);
    assert.equal(skipped?.['nodad'], true);
    assert.equal(skipped['tentative'], undefined);
    stage.node().withdraw('control-plane');
  });

  it('CP-94 ARP-04 an IPv6 VIP that fails detection is re-added with nodad, far within one tick', async () => {
    const other = stage.lab.node(1);
    await other.ip(`addr add ${vip6}/128 dev eth0 nodad`);
    const monitor = await Monitor.start(stage.machine, 'address');
    try {
      stage.news.length = 0;
      stage.node().publish('control-plane', holding([vip6]));
      await waitFor(() => stage.news.includes(`ready ${vip6}`), { what: 'the VIP to be usable' });
      const found = await find(vip6);
      assert.equal(found?.['nodad'], true);
      assert.equal(found['dadfailed'], undefined);
      const lines = await monitor.stamped();
      const failed = lines.find(({ text }) => text.includes(vip6) && text.includes('dadfailed'));
      const again = lines.find(({ text }) => text.includes(vip6) && / nodad/.test(text));
      assert.ok(failed !== undefined && again !== undefined, JSON.stringify(lines));
      console.log(`# dadfailed → usable again: ${(again.at - failed.at).toFixed(2)} ms`);
      assert.ok(again.at - failed.at < 100);
      assert.ok(stage.logged.some((line) => line.startsWith('warn duplicate address detection failed')));
    } finally {
      await monitor.stop();
      await other.ip(`addr del ${vip6}/128 dev eth0`);
      stage.node().withdraw('control-plane');
    }
  });

  it('ARP-04 is back after del, flush, link down and up, and a recreated link', async () => {
    const { machine, lab } = stage;
    stage.node().publish('control-plane', holding([vip, vip6]));
    await settled(vip6);
    const back = (address: string, after: string): Promise<unknown> =>
      waitFor(() => find(address), { what: `${address} after ${after}`, timeoutMs: 15_000 });
    await machine.deleteAddress(vip);
    await machine.deleteAddress(vip6);
    await back(vip, 'del');
    await back(vip6, 'del');
    await machine.flushAddresses();
    await back(vip, 'flush');
    await back(vip6, 'flush');
    await machine.restoreAddresses();
    await machine.ip('link set eth0 down');
    await gone(vip6);
    await machine.ip('link set eth0 up');
    await back(vip, 'link flap');
    await back(vip6, 'link flap');
    const index = Number((await machine.run('cat', ['/sys/class/net/eth0/ifindex'])).trim());
    await machine.ip('link del eth0');
    await waitFor(() => stage.node().status()[0]?.state.state === 'waiting', {
      what: 'the link to be missed',
    });
    assert.equal(stage.node().isPresent(vip), false);
    await machine.ip(
      `link add eth0 index ${index + 500} type veth peer name again netns ${lab.plan.switchNamespace}`,
    );
    await back(vip, 'recreation');
    await machine.ip('link set eth0 up');
    await back(vip6, 'recreation');
    assert.equal(stage.node().isPresent(vip), true);
    stage.node().withdraw('control-plane');
    assert.equal(await find(vip), undefined);
    await machine.ip('link del eth0');
    // The cable of this machine, as the lab had laid it.
    await lab.router.run('true', []);
    await relay();
  });

  /** Lays the machine's cable anew: `eth0` here, its port on the switch. */
  async function relay(): Promise<void> {
    const { machine, lab } = stage;
    const sw = lab.plan.switchNamespace;
    await machine.ip(
      `link add eth0 address ${machine.mac} type veth peer name ${machine.name} netns ${sw}`,
      'link set eth0 up',
    );
    await machine.run('nsenter', [
      `--net=/run/netns/${sw}`,
      'ip',
      'link',
      'set',
      machine.name,
      'master',
      'br0',
      'up',
    ]);
    await machine.restoreAddresses();
    await waitFor(async () => (await find(machine.ipv6)) !== undefined, { what: 'the own address' });
  }

  it('is back by the event, not by a timer, when it is removed by hand', async () => {
    stage.node().publish('control-plane', holding([vip, vip6], { noDad: true }));
    await removeByHand(200);
    stage.node().withdraw('control-plane');
  });

  async function removeByHand(runs: number): Promise<void> {
    const monitor = await Monitor.start(stage.machine, 'address');
    let byEvent = 0;
    for (let i = 0; i < runs; i++) {
      const { restored, dumps } = stage.node().counters();
      await stage.machine.deleteAddress(i % 2 === 0 ? vip : vip6);
      await waitFor(() => stage.node().counters().restored > restored, { what: 'it to be back', everyMs: 5 });
      if (stage.node().counters().dumps === dumps) byEvent++;
    }
    assert.ok(byEvent > 0.9 * runs, `${byEvent} of ${runs} without a list of everything`);
    const lines = await monitor.stamped();
    const gaps: number[] = [];
    let removals = 0;
    for (const address of [vip, vip6]) {
      let goneAt: number | undefined;
      for (const { at, text } of lines.filter((line) => line.text.includes(`${address}/`))) {
        if (text.includes('Deleted')) {
          goneAt = at;
          removals++;
        } else if (goneAt !== undefined) {
          gaps.push(at - goneAt);
          goneAt = undefined;
        }
      }
      assert.ok(address === vip6 || goneAt === undefined, `${address} was gone at the end`);
    }
    const said = lines.map(({ text }) => text).join('\n');
    assert.equal(removals, runs, `not ${runs} removals:\n${said}`);
    // Linux tells of a new IPv6 address from a work queue, and never where it is removed before that had its turn.
    assert.ok(gaps.length > 0.9 * runs, `${gaps.length} of ${runs} were told to be back:\n${said}`);
    const [p50, p99, max] = [percentile(gaps, 50), percentile(gaps, 99), Math.max(...gaps)];
    console.log(
      `# removed → restored, ${runs} runs: p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} max ${max.toFixed(2)} ms`,
    );
  }

  it('CP-98 an address of the node that equals the VIP is never deleted', async () => {
    const { machine } = stage;
    await machine.ip(`addr add ${vip}/32 dev eth0`);
    try {
      const before = JSON.stringify(await find(vip));
      const node = await stage.restart();
      node.sweep();
      node.publish('control-plane', holding([vip]));
      node.withdraw('control-plane');
      const again = await stage.restart();
      again.sweep();
      assert.equal(JSON.stringify(await find(vip)), before);
    } finally {
      await machine.ip(`addr del ${vip}/32 dev eth0`);
    }
  });

  it('CP-99 a VIP is never chosen as the source of a connection, IPv6 or IPv4', async () => {
    const { machine, lab } = stage;
    const target = lab.client;
    // An ordinary address with the longest prefix in common with the target is its source (RFC 6724 rule 8).
    const near = ip('fd00:77::3');
    const sourceFor = async (to: string): Promise<string | undefined> => {
      const text = await machine.run('ip', ['-json', 'route', 'get', to]);
      return (JSON.parse(text) as readonly { readonly prefsrc?: string }[])[0]?.prefsrc;
    };
    assert.equal(target.ipv6, 'fd00:77::2');
    await machine.ip(`addr add ${near}/128 dev eth0 nodad`);
    assert.equal(await sourceFor(target.ipv6), near);
    await machine.ip(`addr del ${near}/128 dev eth0`);
    stage.node().publish('control-plane', holding([vip, near], { noDad: true }));
    assert.equal(await sourceFor(target.ipv6), machine.ipv6);
    assert.equal(await sourceFor(target.ipv4), machine.ipv4);
  });

  it('puts the attributes right when somebody makes a VIP an ordinary address', async () => {
    stage.node().publish('control-plane', holding([vip, vip6], { noDad: true }));
    await stage.machine.ip(`addr change ${vip}/32 dev eth0 preferred_lft forever`);
    await stage.machine.ip(`addr change ${vip6}/128 dev eth0 preferred_lft forever`);
    for (const address of [vip, vip6]) {
      await waitFor(async () => (await find(address))?.['deprecated'] === true, {
        what: `${address} to be deprecated again`,
      });
    }
    assert.equal((await stage.kernel.addresses()).filter(({ protocol }) => protocol === 248).length, 2);
  });

  it('adopts a VIP of a predecessor without taking it off, and sweeps one that nobody wants', async () => {
    stage.node().publish('control-plane', holding([vip, vip6], { noDad: true }));
    const node = await stage.restart();
    const monitor = await Monitor.start(stage.machine, 'address');
    assert.deepEqual(
      node
        .leftovers()
        .map(({ address, marked }) => [address.address, marked])
        .sort(),
      [
        [vip, true],
        [vip6, true],
      ],
    );
    node.publish('control-plane', holding([vip], { noDad: true }));
    node.sweep();
    await gone(vip6);
    const lines = await monitor.stop();
    assert.deepEqual(
      lines.filter((line) => line.includes(`${vip}/`)),
      [],
      'not even an event',
    );
    node.withdraw('control-plane');
  });

  it('adopts and marks what a kube-vip without marks left, and sweeps it when unwanted', async () => {
    const { machine } = stage;
    await machine.ip(`addr add ${vip}/32 dev eth0 preferred_lft 0`);
    const node = await stage.restart();
    assert.deepEqual(
      node.leftovers().map(({ address, marked }) => [address.address, marked]),
      [[vip, false]],
    );
    node.publish('control-plane', holding([vip]));
    const [own] = (await stage.kernel.addresses()).filter(({ address }) => address === vip);
    assert.equal(own?.protocol, 248);
    node.withdraw('control-plane');
    assert.equal(await find(vip), undefined);
    await machine.ip(`addr add ${vip}/32 dev eth0 preferred_lft 0`);
    const next = await stage.restart();
    next.sweep();
    assert.equal(await find(vip), undefined);
  });

  it('removes a VIP that was first in its subnet without taking the others along', async () => {
    const { machine } = stage;
    const first = ip('10.88.0.100');
    const [address] = holding([first]);
    assert.ok(address?.kind === 'address');
    stage.node().publish('service/default/a', [{ ...address, prefixLength: 24 }]);
    await machine.ip('addr add 10.88.0.7/24 dev eth0');
    assert.equal((await find('10.88.0.7'))?.['secondary'], true);
    stage.node().withdraw('service/default/a');
    assert.equal(await find(first), undefined);
    assert.notEqual(await find('10.88.0.7'), undefined);
    await machine.ip('addr del 10.88.0.7/24 dev eth0');
  });
});
