import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Bird, waitFor, type Machine } from '../../../lab/index.ts';
import { makePki } from '../../../lab/pki.ts';
import { BgpStage, HealthEndpoint, NODE_AS, ROUTER_AS, VIP, whySkipped, type Env } from './stage.ts';

const often: Env = { control_plane_health_check_period_seconds: '1' };
const checkOf = (url: string): Env => ({ control_plane_health_check_address: url, ...often });

describe('the health check of a control plane in BGP mode', { skip: whySkipped() }, () => {
  let stage: BgpStage;
  let node: Machine;

  before(async () => {
    stage = await BgpStage.start(1);
    node = stage.cluster.lab.node(0);
  });
  after(async () => {
    await stage.stop();
  });

  it('BGP-24 CP-181 nothing is announced until the first 200; CP-182 the third failure withdraws, and the next 200 announces', async () => {
    const health = await HealthEndpoint.start(node, 9444, '500');
    const check = checkOf('http://127.0.0.1:9444/livez');
    await stage.withDaemons([node], check, async (_, untilLogged) => {
      await stage.router.waitEstablished(node.ipv4);
      await health.untilAsked(3);
      assert.deepEqual(await stage.hops(), []);
      assert.equal(await node.holds(VIP), true, 'the address does not wait');
      await untilLogged(/not advertised yet.*500/);

      health.answer('200');
      await stage.untilHops(VIP, [node.ipv4]);

      // Two failures in a row, again and again, never withdraw it.
      health.answer('500,500,200');
      await health.untilAsked(7);
      assert.equal(await stage.withdrawals(node), 0);
      assert.deepEqual(await stage.hops(), [node.ipv4]);

      // Three do, though the fourth would be a success: at the third, not later.
      health.answer('500,500,500,200');
      await waitFor(async () => (await stage.withdrawals(node)) > 0, {
        what: 'the withdrawal at the third failure',
        timeoutMs: 60_000,
      });
      health.answer('500');
      await stage.untilHops(VIP, []);
      assert.equal(await node.holds(VIP), true);

      health.answer('200');
      await stage.untilHops(VIP, [node.ipv4]);
    });
  });

  it('CP-183 what could not be announced or withdrawn is made up for when the router is back', async () => {
    const health = await HealthEndpoint.start(node, 9445, '200');
    const check = checkOf('http://127.0.0.1:9445/livez');
    const neighbors = [{ address: node.ipv4, as: NODE_AS, families: [4, 6] as const }];
    const { router: machine } = stage.cluster.lab;
    await stage.withDaemons([node], check, async (_, untilLogged) => {
      await stage.untilHops(VIP, [node.ipv4]);
      await stage.router.process.kill();
      await machine.tryRun('ip', ['route', 'flush', 'proto', 'bird']);
      await untilLogged(/BGP session lost, trying again/);
      health.answer('500');
      await health.untilAsked(4, '500');
      stage.router = await Bird.start(machine, { as: ROUTER_AS, neighbors });
      await stage.router.waitEstablished(node.ipv4);
      assert.deepEqual(await stage.hops(), [], 'withdrawn while nobody listened');
      await stage.router.process.kill();
      health.answer('200');
      await health.untilAsked(2, '200');
      stage.router = await Bird.start(machine, { as: ROUTER_AS, neighbors });
      await stage.untilHops(VIP, [node.ipv4]);
    });
  });

  it('BGP-24 CP-185 HTTPS is verified with the private CA; without it the check fails; a bad CA file fails the start', async () => {
    const pki = await makePki(node.dir, ['localhost'], ['127.0.0.1']);
    const health = await HealthEndpoint.start(node, 9446, '200', pki);
    const check = checkOf('https://127.0.0.1:9446/livez');
    const withCa = { ...check, control_plane_health_check_ca_path: pki.caFile };
    await stage.withDaemons([node], withCa, async () => {
      await stage.untilHops(VIP, [node.ipv4]);
    });
    await stage.untilHops(VIP, []);
    const answered = health.answers().length;
    await stage.withDaemons([node], check, async (_, untilLogged) => {
      await stage.router.waitEstablished(node.ipv4);
      await untilLogged(/not advertised yet.*certificate/);
      assert.deepEqual(await stage.hops(), []);
      assert.equal(health.answers().length, answered, 'it never got to ask');
    });
    const bad = path.join(node.dir, 'bad.crt');
    writeFileSync(bad, 'no certificate');
    const withBad = { ...check, control_plane_health_check_ca_path: bad };
    await stage.withDaemons([node], withBad, async (daemon) => {
      assert.notEqual((await daemon.process.untilExit()).code, 0);
      assert.match(daemon.log(), /bad\.crt contains no valid certificates/);
      assert.equal(await node.holds(VIP), false);
    });
  });

  it('CP-182 with election too: the holder withdraws, and gives the lease up for others', async () => {
    const health = await HealthEndpoint.start(node, 9447, '200');
    const check = checkOf('http://127.0.0.1:9447/livez');
    await stage.withDaemons([node], { ...check, vip_leaderelection: 'true' }, async (daemon) => {
      await stage.untilHops(VIP, [node.ipv4]);
      health.answer('500');
      await stage.untilHops(VIP, []);
      await waitFor(async () => (await stage.cluster.leaseHolder()) === '', {
        what: 'the release of the lease',
        detail: () => daemon.process.tail(20),
      });
      health.answer('200');
      await stage.untilHops(VIP, [node.ipv4]);
    });
  });
});
