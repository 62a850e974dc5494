import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ensurePrivilege, waitFor } from '../../../lab/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import type { RouteSpec } from '../../../src/node/types.ts';
import { holding, owners, percentile, setStage, type Stage } from './stage.ts';

const refused = ensurePrivilege();
const repairs = 50;

describe('routes on the real kernel', { skip: refused?.because ?? false }, () => {
  let stage: Stage;
  const vip = ip('10.77.0.100');
  const vip6 = ip('fd00:77::100');

  before(async () => {
    stage = await setStage({ routes: { table: 198, protocol: 248, type: 1 } });
  });
  after(async () => {
    await stage.stop();
  });
  afterEach(async () => {
    for (const owner of owners) stage.node().withdraw(owner);
    assert.deepEqual(await table(), []);
  });

  const route = (to: typeof vip, more: Partial<RouteSpec> = {}): RouteSpec => ({
    kind: 'route',
    vip: to,
    link: 'eth0',
    turn: 0,
    ...more,
  });

  /** As `ip route` prints our table, both families. */
  async function table(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const family of ['-4', '-6']) {
      const { code, stdout } = await stage.machine.tryRun('ip', [
        family,
        '-N',
        'route',
        'show',
        'table',
        '198',
      ]);
      if (code === 0) lines.push(...stdout.split('\n'));
    }
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  }

  const becomes = (...wanted: readonly string[]): Promise<unknown> =>
    waitFor(async () => JSON.stringify(await table()) === JSON.stringify(wanted), {
      what: wanted.join(', '),
      everyMs: 5,
      detail: () => stage.logged.slice(-5).join('\n'),
    });

  it('is written in the turn in which it is wanted, and gone in the one in which it is not', async () => {
    stage.node().publish('control-plane', [route(vip), route(vip6)]);
    const [first] = await stage.kernel.routes({ table: 198, family: 4 });
    assert.equal(first?.protocol, 248);
    assert.deepEqual(await table(), [
      `${vip} dev eth0 proto 248`,
      `${vip6} dev eth0 proto 248 metric 1024 pref medium`,
    ]);
    stage.node().withdraw('control-plane');
    assert.deepEqual(await table(), []);
  });

  it('turns are seen by watchers of the table, for both families', async () => {
    const monitor = stage.machine.start('monitor', ['ip', '-o', '-N', 'monitor', 'route']);
    await waitFor(
      () => {
        const turn = Math.round(performance.now());
        stage.node().publish('control-plane', [route(vip, { turn }), route(vip6, { turn })]);
        const lines = monitor.log().split('\n');
        const of = (address: string): number => lines.filter((line) => line.startsWith(`${address} `)).length;
        return of(vip) >= 3 && of(vip6) >= 3;
      },
      { what: 'three events of each family', everyMs: 30 },
    );
    await monitor.stop();
    assert.ok(!monitor.log().includes('Deleted'), monitor.log());
    assert.ok(monitor.log().includes('realm 1') && monitor.log().includes('realm 2'));
  });

  it('what somebody deletes is back with the event', async () => {
    stage.node().publish('control-plane', [route(vip), route(vip6)]);
    const took: number[] = [];
    for (let i = 0; i < repairs; i++) {
      const [victim] = await stage.kernel.routes({ table: 198, family: i % 2 === 0 ? 4 : 6 });
      assert.ok(victim);
      const before = stage.node().counters().routesRestored;
      const at = performance.now();
      stage.kernel.removeRoute(victim);
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (stage.node().counters().routesRestored > before) resolve();
          else setImmediate(look);
        };
        look();
      });
      took.push(performance.now() - at);
    }
    assert.equal((await table()).length, 2);
    console.log(
      `deleted route back: p50 ${percentile(took, 50).toFixed(2)} ms, max ${Math.max(...took).toFixed(2)} ms`,
    );
  });

  it('survives that Linux drops routes silently, with their link and with its last address', async () => {
    const wanted = [`${vip} dev eth0 proto 248`, `${vip6} dev eth0 proto 248 metric 1024 pref medium`];
    stage.node().publish('control-plane', [...holding([vip]), route(vip), route(vip6)]);
    await stage.machine.ip('link set eth0 down');
    await becomes();
    await stage.machine.ip('link set eth0 up');
    await becomes(...wanted);
    await stage.machine.flushAddresses();
    await becomes(...wanted);
    await stage.machine.restoreAddresses();
    stage.node().withdraw('control-plane');
  });

  it('a restart adopts the route, and a sweep takes what nobody wants', async () => {
    stage.node().publish('control-plane', [route(vip), route(vip6)]);
    await stage.restart();
    assert.equal((await table()).length, 2);
    stage.node().publish('control-plane', [route(vip)]);
    assert.equal(stage.node().sweepRoutes(() => true).length, 1);
    assert.deepEqual((await table()).length, 1);
  });
});
