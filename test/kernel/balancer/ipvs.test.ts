import { after, before } from 'node:test';
import { balancerContract } from '../../../src/testing/contract/balancer/index.ts';
import { openSubject } from '../../lab/balancer/host-subject.ts';
import { World } from '../../lab/balancer/world.ts';
import { hasTables, isInside, runInside } from '../in-kernel.ts';

/** The contract of balancers on IPVS, in a kernel that has it. */
if (isInside) {
  const method = process.env['IPVS_METHOD'] === 'directroute' ? 'directroute' : 'masquerade';
  const isDirect = method === 'directroute';
  let world: World;
  before(() => {
    world = new World({ directReturn: isDirect, behindHolder: !isDirect && !hasTables, vips: 2 });
  });
  after(() => world.close());
  balancerContract(
    {
      name: `IPVS, ${method}`,
      translatesPorts: !isDirect,
      // A packet from the holder has the VIP as its source, which a real server takes for its own
      // address; nf_tables gives it another one.
      balancesLocalClients: hasTables,
      balancesServersClients: !isDirect && hasTables,
      weightsOfRoundRobin: false,
      countsConnections: true,
    },
    () => openSubject(world, { backend: 'ipvs', reason: 'the test says so' }, method),
  );
} else {
  runInside(import.meta.url, {
    'IPVS, masquerade': { IPVS_METHOD: 'masquerade' },
    'IPVS, direct route': { IPVS_METHOD: 'directroute' },
  });
}
