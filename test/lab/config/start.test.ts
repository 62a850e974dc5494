import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  Capture,
  Cluster,
  ensurePrivilege,
  waitFor,
  type LabProcess,
  type Machine,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();
const main = resolve(import.meta.dirname, '../../../src/main.ts');

/** What the links and settings of a node do to the start of the daemon, on one node with an embedded API server. */
describe('start on a real link', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let node: Machine;
  let starts = 0;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    node = cluster.lab.node(0);
    await node.ip(
      'link add up0 type veth peer name up0-peer',
      'link set up0 up',
      'link set up0-peer up',
      'link add down0 type veth peer name down0-peer',
      'link add tunnel0 type vxlan id 5 dstport 4789 local 127.0.0.1',
      'link set tunnel0 up',
    );
  });
  after(async () => {
    await cluster.lab.stop();
  });

  /** The daemon as a kubelet would start it, once, with these settings on top of the lab's. */
  function start(env: Readonly<Record<string, string>>): LabProcess {
    starts += 1;
    return node.start(`kube-vip-${starts}`, [process.execPath, main, 'manager'], {
      env: { ...cluster.daemonEnv(node), ...env },
    });
  }

  async function refusal(env: Readonly<Record<string, string>>): Promise<string> {
    const daemon = start(env);
    daemon.child.ref();
    const exit = await daemon.untilExit();
    assert.deepEqual(exit, { code: 1, signal: null }, daemon.tail());
    return daemon.log();
  }

  /** Starts, waits until the VIP is on that link, and stops; returns what was logged. */
  async function carries(link: string, env: Readonly<Record<string, string>>): Promise<string> {
    const vip = cluster.lab.plan.vip(0);
    const daemon = start(env);
    try {
      await waitFor(async () => (await node.addresses(link)).some(({ local }) => local === vip), {
        what: `${vip} on ${link}`,
        detail: () => daemon.tail(),
        hopeless: () => (daemon.alive ? undefined : 'the daemon ended'),
      });
    } finally {
      await daemon.stop();
    }
    return daemon.log();
  }

  it('CP-26 a link that does not exist is named', async () => {
    const log = await refusal({ vip_interface: 'nope0' });
    assert.match(log, /^Error: nope0 is not valid interface, reason: there is no link with this name; /m);
    assert.match(await refusal({ vip_interface: 'a-name-of-20-letters' }), /there is no link with this name/);
  });

  it('a link can be named by one of its alternative names, which may be longer than 15 characters', async () => {
    await node.ip('link property add dev up0 altname enxb827eb0000000010');
    await carries('up0', { vip_interface: 'enxb827eb0000000010' });
  });

  it('CP-27 a link that is down is refused; vip_allow_interface_not_up=true makes that a warning', async () => {
    const log = await refusal({ vip_interface: 'down0' });
    assert.match(log, /^Error: down0 is not valid interface, reason: operational state of down0 is down; /m);
    const allowed = await carries('down0', { vip_interface: 'down0', vip_allow_interface_not_up: 'true' });
    assert.match(allowed, / WARN operational state of down0 is down; using it anyway/);
  });

  it('CP-28 a link whose state is unknown is used, with a warning', async () => {
    for (const link of ['lo', 'tunnel0']) {
      const log = await carries(link, { vip_interface: link });
      assert.match(log, new RegExp(` WARN operational state of ${link} is unknown; using it anyway`));
    }
  });

  it('CP-29 without vip_interface the link of the default route carries the VIP', async () => {
    const auto = { vip_interface: '' };
    const before = await node.run('ip', ['-4', 'route', 'show', 'default']);
    assert.match(before, /^default via \S+ dev eth0/);
    assert.match(await carries('eth0', auto), / INFO using the link of the default route link=eth0/);

    const route = (family: '-4' | '-6', ...words: string[]) => node.run('ip', [family, 'route', ...words]);
    const viaRouter = ['nexthop', 'via', cluster.lab.router.ipv4, 'dev', 'eth0'];
    await route('-4', 'replace', 'default', 'nexthop', 'dev', 'up0', ...viaRouter);
    await carries('up0', auto);

    await route('-4', 'del', 'default');
    await route('-6', 'replace', 'default', 'dev', 'up0');
    await carries('up0', auto);

    // What chose the link is missed when it goes, and nothing else.
    const daemon = start(auto);
    const vip = cluster.lab.plan.vip(0);
    const isHeld = async (): Promise<boolean> =>
      (await node.addresses('up0')).some(({ local }) => local === vip);
    try {
      await waitFor(isHeld, { what: `${vip} on up0`, detail: () => daemon.tail() });
      await route('-6', 'del', 'default');
      await daemon.waitForLog(/ ERROR the default route that chose the link is gone link=up0/);
      assert.equal(await isHeld(), true);
    } finally {
      await daemon.stop();
    }
    assert.match(await refusal(auto), /^Error: vip_interface is not set and there is no default route/m);
  });

  it('CP-112 vip_arpRate=100 announces every 3000 ms, with a warning', async () => {
    const vip = cluster.lab.plan.vip(0);
    const capture = await Capture.start(cluster.lab.client, 'arp');
    const daemon = start({ vip_arpRate: '100' });
    const announced = (): readonly number[] =>
      capture
        .frames()
        .flatMap((frame) =>
          frame.kind === 'arp' && frame.senderIp === vip && frame.targetIp === vip ? [frame.at] : [],
        );
    /** After the opening burst, which takes two seconds; two forms of announcement leave together. */
    const gaps = (): readonly number[] => {
      const [first = 0] = announced();
      const later = announced().filter((at) => at > first + 4000);
      const all = later.slice(1).map((at, index) => at - (later[index] ?? at));
      return all.filter((gap) => gap > 1000);
    };
    try {
      // A busy machine makes one late, and the next one early; some are on time.
      await waitFor(() => gaps().some((gap) => Math.abs(gap - 3000) < 300), {
        what: 'announcements every three seconds',
        timeoutMs: 60_000,
        detail: () => `${gaps().join(' ')}\n${daemon.tail()}`,
      });
    } finally {
      await daemon.stop();
      await capture.stop();
    }
    assert.ok(
      gaps().every((gap) => gap > 1500),
      gaps().join(' '),
    );
    assert.match(daemon.log(), / WARN "?env vip_arpRate=100 is below 500 ms; using 3000 ms/);
  });
});
