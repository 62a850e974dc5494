import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { publish, refusedWith, shares, spread } from '../../../src/testing/contract/balancer/clients.ts';
import { virtualServer } from '../../../src/testing/contract/balancer/subject.ts';
import { openConntrack, openKernel, systemClock } from '../../../src/linux/index.ts';
import { openSubject } from './host-subject.ts';
import { ownServerDies } from './own-server.ts';
import { run, runHere, World } from './world.ts';

const choice = { backend: 'nftables', reason: 'the test says so' } as const;
let world: World;
before(() => {
  world = new World({ directReturn: false, vips: 1 });
});
after(() => world.close());

/** ICMP redirects that the holder has sent so far. */
function redirects(): number {
  const [names = '', values = ''] = run('holder', 'cat /proc/net/snmp')
    .split('\n')
    .filter((line) => line.startsWith('Icmp: '));
  return Number(values.split(' ')[names.split(' ').indexOf('OutRedirects')]);
}

test('nobody is told of a shorter way to the servers, though packets leave by the link they came in by', async () => {
  const subject = await openSubject(world, choice, 'masquerade');
  try {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
    assert.equal(redirects(), 0);
  } finally {
    await subject.close();
  }
});

for (const family of [4, 6] as const)
  test(`the server on the holder itself refuses nobody when it died, while another serves, IPv${family}`, async () => {
    const subject = await openSubject(world, choice, 'masquerade');
    try {
      await ownServerDies(subject, world, family);
    } finally {
      await subject.close();
    }
  });

test('what a rule of somebody else refuses on the holder is refused', async () => {
  const subject = await openSubject(world, choice, 'masquerade');
  try {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    runHere('nft add table ip others');
    runHere('nft add chain ip others forward { type filter hook forward priority 0 ; }');
    runHere('nft add rule ip others forward tcp dport 6443 reject with tcp reset');
    assert.equal(await refusedWith(subject, vip, 6443), 'ECONNREFUSED');
  } finally {
    runHere('nft delete table ip others');
    await subject.close();
  }
});

test('a tracked connection with the same ends and another id is not removed', async () => {
  const subject = await openSubject(world, choice, 'masquerade');
  const kernel = openKernel({ clock: systemClock() });
  const conntrack = openConntrack(kernel.poller);
  try {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    const connection = await subject.connect('client', vip, 6443);
    const [found] = await conntrack.connections([{ address: vip, port: 6443 }]);
    assert.ok(found?.id !== undefined);
    assert.equal(conntrack.remove([{ ...found, id: (found.id ^ 1) >>> 0 }]), 0);
    assert.equal(await connection.echo(), true);
    assert.equal(conntrack.remove([found]), 1);
    connection.close();
  } finally {
    conntrack.close();
    kernel.close();
    await subject.close();
  }
});
