import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Bird, waitFor, type Machine } from '../../../lab/index.ts';
import { BgpStage, ROUTER_AS, VIP, whySkipped, type Env } from './stage.ts';

const PREFIX = 'metal.equinix.com';
const CLOUD_AS = 65_010;
const PASSWORD = 'sesame';

describe('BGP configured by Node annotations', { skip: whySkipped() }, () => {
  let stage: BgpStage;
  let node: Machine;
  /** The address that the annotations name, beside the node's own. */
  const source = '10.77.0.211';

  before(async () => {
    stage = await BgpStage.start(1);
    node = stage.cluster.lab.node(0);
    await node.ip(`addr add ${source}/24 dev eth0`);
    await stage.router.stop();
    stage.router = await Bird.start(stage.cluster.lab.router, {
      as: ROUTER_AS,
      neighbors: [{ address: source, as: CLOUD_AS, password: PASSWORD, multihop: true }],
    });
  });
  after(async () => {
    await stage.stop();
  });

  /** Nothing in the settings would make a session: everything comes from the Node. */
  const env: Env = { annotation: PREFIX, bgp_peers: '', bgp_routerid: '', bgp_as: '65000', address: VIP };
  const annotate = (annotations: Readonly<Record<string, string | null>>): Promise<unknown> =>
    stage.cluster.api.client.patch(`/api/v1/nodes/${node.name}`, { metadata: { annotations } });

  it('CP-130 SIGTERM ends the wait for annotations, and the process', async () => {
    await stage.withDaemons([node], env, async (daemon, untilLogged) => {
      await untilLogged(/waiting for the BGP annotations of this Node.*node-asn is missing/);
      assert.equal(await node.holds(VIP), false);
      daemon.process.signal('SIGTERM');
      await waitFor(() => daemon.exits.length > 0, { what: 'the end of the process' });
      assert.equal(daemon.exits[0]?.code, 0);
    });
  });

  for (const [style, infix] of [
    ['plain', ''],
    ['indexed', 'bgp-peers-0-'],
  ] as const) {
    it(`BGP-23 CP-186 CP-187 start waits for complete annotations (${style} names), and then everything comes from them`, async () => {
      const name = (key: string): string => `${PREFIX}/${infix}${key}`;
      const first = { [name('node-asn')]: String(CLOUD_AS), [name('peer-asn')]: String(ROUTER_AS) };
      const rest = {
        [name('src-ip')]: source,
        [name('peer-ip')]: stage.routerAddress,
        [name('bgp-pass')]: Buffer.from(PASSWORD).toString('base64'),
        [name('peer-multi-hop')]: 'true',
      };
      const capture = ['tcpdump', '-l', '-n', '-v', '-i', 'eth0', `src host ${source} and dst port 179`];
      const wire = stage.cluster.lab.router.start(`wire-${style}`, capture);
      await wire.waitForLog(/listening on/);
      await stage.withDaemons([node], env, async (daemon, untilLogged) => {
        await untilLogged(/waiting for the BGP annotations.*node-asn is missing/);
        await annotate(first);
        await untilLogged(/waiting for the BGP annotations.*src-ip is missing/);
        await waitFor(async () => (await daemon.http('/readyz'))?.status === 503, { what: 'not ready' });
        await annotate(rest);
        await stage.untilHops(VIP, [source]);
        await daemon.waitReady();
        assert.match(await stage.router.route(VIP), new RegExp(`BGP.as_path: ${CLOUD_AS}\\b`));
        assert.match(await stage.router.session(source), new RegExp(`Neighbor ID:\\s+${source}\\b`));
        await wire.waitForLog(/ttl 50\b/);
      });
      await stage.untilHops(VIP, []);
      await wire.stop();
      const none = Object.fromEntries(Object.keys({ ...first, ...rest }).map((key) => [key, null]));
      await annotate(none);
    });
  }
});
