import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from '../services/objects.ts';
import { BgpStage, whySkipped, WITHDRAWN_WITHIN, type Env } from './stage.ts';

describe('Services in BGP mode', { skip: whySkipped() }, () => {
  let stage: BgpStage;
  let objects: Objects;
  let nodes: readonly Machine[];
  let created: string[] = [];
  const vip = (n: number): string => `198.51.100.${100 + n}`;

  before(async () => {
    stage = await BgpStage.start(2);
    objects = await Objects.in(stage.cluster);
    nodes = stage.cluster.lab.controlPlanes;
  });
  after(async () => {
    await stage.stop();
  });
  afterEach(async () => {
    for (const name of created) await objects.delete(name);
    created = [];
  });

  const env: Env = { cp_enable: 'false', svc_enable: 'true', address: '' };
  const pathsOf = (on: readonly Machine[]): readonly string[] => on.map(({ ipv4 }) => ipv4);

  async function serve(wish: Parameters<Objects['create']>[0], on: readonly Machine[]): Promise<void> {
    created.push(wish.name);
    await objects.create(wish, on);
  }

  it('BGP-10 BGP-11 BGP-12 all nodes are paths while there is an endpoint; none without, after deletion, after exit', async () => {
    const [first] = nodes;
    assert.ok(first !== undefined);
    await stage.withDaemons(nodes, env, async () => {
      await serve({ name: 'web', vip: vip(0) }, [first]);
      await stage.untilHops(vip(0), pathsOf(nodes));
      for (const node of nodes) assert.equal(await node.holds(vip(0)), false, 'no address anywhere');
      await objects.setEndpoints('web', []);
      await stage.untilHops(vip(0), []);
      await objects.setEndpoints('web', [first]);
      await stage.untilHops(vip(0), pathsOf(nodes));
      await serve({ name: 'gone', vip: vip(1) }, [first]);
      await stage.untilHops(vip(1), pathsOf(nodes));
      await objects.delete('gone');
      created.pop();
      await stage.untilHops(vip(1), []);
    });
    await stage.untilHops(vip(0), [], WITHDRAWN_WITHIN);
  });

  it('BGP-12 with the local traffic policy the nodes with endpoints are the paths', async () => {
    const [first, second] = nodes;
    assert.ok(first !== undefined && second !== undefined);
    await stage.withDaemons(nodes, env, async () => {
      await serve({ name: 'local', vip: vip(2), policy: 'Local' }, [second]);
      await stage.untilHops(vip(2), pathsOf([second]));
      await objects.setEndpoints('local', [first, second]);
      await stage.untilHops(vip(2), pathsOf(nodes));
      await objects.setEndpoints('local', [first]);
      await stage.untilHops(vip(2), pathsOf([first]));
    });
  });

  it('BGP-13 with an election for each Service its leader is the only path, and the next one after it', async () => {
    await stage.withDaemons(nodes, { ...env, svc_election: 'true' }, async () => {
      await serve({ name: 'elected', vip: vip(3) }, nodes);
      const paths = await waitFor(
        async () => {
          const hops = await stage.hops(vip(3));
          return hops.length > 0 ? hops : undefined;
        },
        { what: 'a path', timeoutMs: 60_000 },
      );
      assert.equal(paths.length, 1);
      const leader = nodes.find(({ ipv4 }) => ipv4 === paths[0]);
      const other = nodes.find((node) => node !== leader);
      assert.ok(leader !== undefined && other !== undefined);
      await stage.cluster.daemon(leader).stop();
      await stage.untilHops(vip(3), pathsOf([other]));
    });
  });

  it('BGP-14 the election of the control plane says nothing about Services', async () => {
    await stage.withDaemons(nodes, { ...env, vip_leaderelection: 'true' }, async () => {
      await serve({ name: 'free', vip: vip(4) }, nodes);
      await stage.untilHops(vip(4), pathsOf(nodes));
      await objects.setEndpoints('free', []);
      await stage.untilHops(vip(4), []);
    });
  });

  it('BGP-15 two Services with one VIP are one path, which goes with the last of them', async () => {
    const [first] = nodes;
    assert.ok(first !== undefined);
    await stage.withDaemons([first], env, async () => {
      await serve({ name: 'one', vip: vip(5), port: 80 }, nodes);
      await serve({ name: 'two', vip: vip(5), port: 81 }, nodes);
      await stage.untilHops(vip(5), pathsOf([first]));
      // Its endpoints come by a watch of their own.
      await waitFor(async () => (await objects.ingress('two')).join() === vip(5), {
        what: 'the status of two',
      });
      const withdrawn = await stage.withdrawals(first);
      await objects.delete('one');
      await serve({ name: 'mark', vip: vip(6) }, nodes);
      await stage.untilHops(vip(6), pathsOf([first]));
      assert.deepEqual(await stage.hops(vip(5)), pathsOf([first]));
      assert.equal(await stage.withdrawals(first), withdrawn);
      await objects.delete('two');
      await stage.untilHops(vip(5), []);
      created = ['mark'];
    });
  });

  it('BGP-29 bgp_attach_ip_to_interface puts the VIP on the link too, and takes it off', async () => {
    const [first] = nodes;
    assert.ok(first !== undefined);
    await stage.withDaemons([first], { ...env, bgp_attach_ip_to_interface: 'true' }, async () => {
      await serve({ name: 'attached', vip: vip(7) }, nodes);
      await stage.untilHops(vip(7), pathsOf([first]));
      const onLink = new RegExp(`inet ${vip(7)}/32`);
      await waitFor(async () => onLink.test(await first.run('ip', ['addr', 'show', 'dev', 'lo'])), {
        what: 'the address on the link',
      });
    });
    assert.equal(await first.holds(vip(7)), false);
  });

  it('OBS-03 the dump lists what peers are told, of both families', async () => {
    const [first] = nodes;
    assert.ok(first !== undefined);
    const vip6 = '2001:db8:77::200';
    await stage.withDaemons([first], env, async (daemon) => {
      await objects.setEndpoints6('both', [first]);
      await serve({ name: 'both', vip: `${vip(9)},${vip6}` }, [first]);
      await stage.untilHops(vip(9), pathsOf([first]));
      await stage.untilHops(vip6, [first.ipv6]);
      const rib =
        (await stage.dump(daemon)).split('--- ACTIVE BGP RIB STATE ---')[1]?.split('\n---')[0] ?? '';
      const peer = stage.routerAddress;
      for (const line of [
        `  ${vip(9)}/32 next hop ${first.ipv4}, known to ${peer}`,
        `  ${vip6}/128 next hop ${first.ipv6}, known to ${peer}`,
      ])
        assert.ok(rib.split('\n').includes(line), `${line}\n${rib}`);
      await objects.setEndpoints('both', []);
      await objects.setEndpoints6('both', []);
      await stage.untilHops(vip(9), []);
      await stage.untilHops(vip6, []);
      assert.doesNotMatch(await stage.dump(daemon), /next hop/);
    });
  });

  it('BGP-11 with the control plane in one process, each VIP has its own fate', async () => {
    const both = { svc_enable: 'true', vip_leaderelection: 'true' };
    await stage.withDaemons(nodes, both, async () => {
      const holder = await stage.cluster.holder('198.51.100.10');
      await serve({ name: 'beside', vip: vip(8) }, nodes);
      await stage.untilHops(vip(8), pathsOf(nodes));
      await stage.untilHops('198.51.100.10', pathsOf([holder]));
    });
    await stage.untilHops('198.51.100.10', [], WITHDRAWN_WITHIN);
    await stage.untilHops(vip(8), [], WITHDRAWN_WITHIN);
  });
});
