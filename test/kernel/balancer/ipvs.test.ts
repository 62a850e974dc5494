import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findKernel, runInKernel, type TestKernel } from '../../../lab/kernel/index.ts';
import { balancerContract } from '../../../src/testing/contract/balancer/index.ts';
import { openSubject } from '../../lab/balancer/host-subject.ts';
import { World } from '../../lab/balancer/world.ts';

/*
 * IPVS in a kernel that has it. On the host this file boots that kernel and runs itself inside, once
 * for each way to forward; every test inside is one here.
 */
const inside = process.env['IPVS_CONTRACT'];
const choice = { backend: 'ipvs', reason: 'the test says so' } as const;

const ways = {
  'IPVS, masquerade': { method: 'masquerade', needs: 'own build' },
  'IPVS, direct route': { method: 'directroute', needs: 'any' },
  'IPVS, masquerade without nf_tables': { method: 'masquerade', needs: 'debian' },
} as const;
type Way = keyof typeof ways;

if (inside === undefined) {
  const kernel = findKernel();
  for (const way of Object.keys(ways) as Way[]) {
    if ('because' in kernel) test(way, { skip: kernel.because }, () => undefined);
    else if (ways[way].needs === 'any' || ways[way].needs === kernel.kind) runInside(kernel, way);
    else test(way, { skip: `the kernel to boot is not of the kind: ${ways[way].needs}` }, () => undefined);
  }
} else {
  const way = inside as Way;
  const isDirect = ways[way].method === 'directroute';
  let world: World;
  before(() => {
    world = new World({ directReturn: isDirect, behindHolder: way.endsWith('nf_tables'), vips: 2 });
  });
  after(() => world.close());
  balancerContract(
    {
      name: way,
      translatesPorts: !isDirect,
      // A packet from the holder has the VIP as its source, which a real server takes for its own address.
      balancesLocalClients: !isDirect && !way.endsWith('nf_tables'),
      balancesServersClients: way === 'IPVS, masquerade',
      weightsOfRoundRobin: false,
    },
    () => openSubject(world, choice, ways[way].method),
  );
}

function runInside(kernel: TestKernel, way: Way): void {
  describe(way, async () => {
    // The runner inside must not take itself for a child of the runner outside.
    const command = [
      'env',
      '-u',
      'NODE_TEST_CONTEXT',
      process.execPath,
      '--test',
      '--test-reporter=tap',
      fileURLToPath(import.meta.url),
    ];
    const result = await runInKernel({ kernel, command, env: { IPVS_CONTRACT: way } });
    const results = [...result.output.matchAll(/^ {4,}(not ok|ok) \d+ - (.*?)(?: # time.*)?\r?$/gm)];
    test('the contract ran', () => {
      assert.notEqual(results.length, 0, `${result.output}\n${result.console}`);
    });
    for (const [, outcome, title = ''] of results) {
      test(title, () => {
        const about = result.output.slice(result.output.indexOf(`${outcome ?? ''} `));
        assert.equal(outcome, 'ok', about);
      });
    }
  });
}
