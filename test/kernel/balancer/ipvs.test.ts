import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ForwardingMethod } from '../../../src/node/forwarding/index.ts';
import { balancerContract } from '../../../src/testing/contract/balancer/index.ts';
import { publish, shares, spread, withBalancer } from '../../../src/testing/contract/balancer/clients.ts';
import { virtualServer, type OpenBalancer } from '../../../src/testing/contract/balancer/subject.ts';
import { openSubject } from '../../lab/balancer/host-subject.ts';
import { runHere, setSysctl, World } from '../../lab/balancer/world.ts';
import { hasTables, isInside, runInside } from '../in-kernel.ts';

/** The contract of balancers on IPVS, in a kernel that has it. */
if (isInside) {
  const method: ForwardingMethod =
    process.env['IPVS_METHOD'] === 'directroute' ? 'directroute' : 'masquerade';
  const isDirect = method === 'directroute';
  let world: World;
  before(() => {
    world = new World({ directReturn: isDirect, behindHolder: !isDirect && !hasTables, vips: 2 });
  });
  after(() => world.close());
  const open: OpenBalancer = () =>
    openSubject(world, { backend: 'ipvs', reason: 'the test says so' }, method);
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
      // Direct route has no rules of its own.
      hidesRefusals: !isDirect && hasTables,
    },
    open,
  );
  if (!isDirect && hasTables) {
    test('CP-163 masquerade sets what it needs, translates source and port', () =>
      withBalancer(open, async (subject) => {
        const settings = ['net.ipv4.vs.conntrack', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'];
        for (const name of settings) setSysctl('holder', name, '0');
        for (const family of [4, 6] as const) {
          const vip = subject.vip(0, family);
          await publish(subject, [virtualServer(subject, vip, { port: 443 })]);
          // Server and client share a link: a reply to the client itself would not come back here.
          assert.deepEqual(shares(await spread(subject, 'client', vip, 443, 9)), [3, 3, 3]);
          const tracked = runHere(
            `conntrack -L -f ipv${family} -p tcp --orig-dst ${vip} --orig-port-dst 443`,
          );
          assert.match(tracked, new RegExp(`src=\\S+ dst=${vip} sport=6443 dport`));
        }
        for (const name of settings) assert.equal(runHere(`sysctl -n ${name}`).trim(), '1', name);
      }));
  }
} else {
  runInside(import.meta.url, {
    'IPVS, masquerade': { IPVS_METHOD: 'masquerade' },
    'IPVS, direct route': { IPVS_METHOD: 'directroute' },
  });
}
