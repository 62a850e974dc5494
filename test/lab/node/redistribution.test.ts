import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensurePrivilege, requireComponent, waitFor } from '../../../lab/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { setStage, type Stage } from './stage.ts';

const refused = ensurePrivilege();

/** BIRD on the node itself: it learns our table, and looks at it again once an hour only. */
const config = `
router id 192.0.2.1;
protocol device { scan time 3600; }
protocol kernel { kernel table 198; learn; scan time 3600; ipv4 { import all; export none; }; }
protocol kernel { kernel table 198; learn; scan time 3600; ipv6 { import all; export none; }; }
`;

describe('routes that a routing daemon redistributes', { skip: refused?.because ?? false }, () => {
  let stage: Stage;
  let socket: string;
  const vips = [ip('10.77.0.100'), ip('fd00:77::100')];

  before(async () => {
    stage = await setStage({ routes: { table: 198, protocol: 248, type: 1 } });
    const { machine } = stage;
    socket = path.join(machine.dir, 'bird.ctl');
    const file = path.join(machine.dir, 'bird.conf');
    writeFileSync(file, config);
    const bird = machine.start('bird', [requireComponent('bird'), '-f', '-c', file, '-s', socket]);
    await waitFor(async () => (await ask('show status')).includes('Daemon is up'), {
      what: 'BIRD',
      detail: () => bird.tail(),
    });
  });
  after(async () => {
    await stage.stop();
  });

  const ask = async (command: string): Promise<string> =>
    (await stage.machine.tryRun(requireComponent('birdc'), ['-s', socket, ...command.split(' ')])).stdout;

  const learned = (wanted: boolean): Promise<unknown> =>
    waitFor(
      async () => {
        const known = await Promise.all(vips.map((vip) => ask(`show route for ${vip}`)));
        return known.every((text) => text.includes('eth0') === wanted);
      },
      { what: `BIRD ${wanted ? 'to have' : 'to have lost'} the routes`, everyMs: 20 },
    );

  it('are learned and lost by BIRD with the events of our writes', async () => {
    for (let round = 0; round < 2; round++) {
      stage.node().publish(
        'control-plane',
        vips.map((vip) => ({ kind: 'route', vip, link: 'eth0', turn: 0 })),
      );
      await learned(true);
      const text = await ask(`show route for ${vips[0] ?? ''} all`);
      assert.match(text, /source: 248/);
      stage.node().withdraw('control-plane');
      await learned(false);
    }
  });
});
