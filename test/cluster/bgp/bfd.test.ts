import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { waitFor } from '../../../lab/index.ts';
import { BgpStage, ROUTER_AS, VIP, whySkipped, WITHDRAWN_WITHIN } from './stage.ts';

describe('BGP mode with BFD', { skip: whySkipped() }, () => {
  let stage: BgpStage;

  before(async () => {
    stage = await BgpStage.start(1, true);
  });
  after(async () => {
    await stage.stop();
  });

  it('BGP-21 a peer with the field is watched: either side that stands still is missed long before the hold time', async () => {
    const [node] = stage.cluster.lab.controlPlanes;
    assert.ok(node !== undefined);
    const env = { bgp_peers: `${stage.routerAddress}:${ROUTER_AS}::false:::true;200;200;3` };
    await stage.withDaemons([node], env, async (daemon, untilLogged) => {
      const watched = (): Promise<unknown> =>
        waitFor(async () => (await stage.router.bfdState(node.ipv4)) === 'Up', { what: 'the BFD session' });
      await stage.untilHops(VIP, [node.ipv4]);
      await watched();
      stage.router.process.signal('SIGSTOP');
      try {
        await untilLogged(/BGP session lost.*BFD down: nothing heard/);
      } finally {
        stage.router.process.signal('SIGCONT');
      }
      await stage.untilHops(VIP, [node.ipv4]);
      await watched();
      daemon.signal('SIGSTOP');
      try {
        await stage.untilHops(VIP, [], WITHDRAWN_WITHIN);
      } finally {
        daemon.signal('SIGCONT');
      }
      await stage.untilHops(VIP, [node.ipv4]);
      assert.match(await stage.dump(daemon), /Peer 1: .*established.*, BFD (up|init|down)/);
    });
    await stage.untilHops(VIP, [], WITHDRAWN_WITHIN);
  });
});
