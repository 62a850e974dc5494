import { after, before } from 'node:test';
import { balancerContract } from '../../../src/testing/contract/balancer/index.ts';
import { openSubject } from './host-subject.ts';
import { World } from './world.ts';

let world: World;
before(() => {
  world = new World({ directReturn: true, withRoleRules: true, vips: 2 });
});
after(() => world.close());

balancerContract(
  {
    name: 'nftables, direct return',
    translatesPorts: false,
    balancesLocalClients: true,
    balancesServersClients: false,
    weightsOfRoundRobin: true,
    hidesRefusals: true,
  },
  () => openSubject(world, { backend: 'nftables', reason: 'the test says so' }, 'directroute'),
);
