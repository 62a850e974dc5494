import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { publish, shares, spread } from '../../../src/testing/contract/balancer/clients.ts';
import { knock } from '../../../src/testing/contract/balancer/refusals.ts';
import { virtualServer, withState } from '../../../src/testing/contract/balancer/subject.ts';
import type { BalancerSubject } from '../../../src/testing/contract/balancer/index.ts';
import type { ForwardingSpecStatus } from '../../../src/node/forwarding/index.ts';
import { ip } from '../../../src/lib/ip.ts';
import { openKernel, openNftables, systemClock } from '../../../src/linux/index.ts';
import { MAX_ENDED } from '../../../src/node/forwarding/nftables/flow-rules.ts';
import { TABLE } from '../../../src/node/forwarding/nftables/translation.ts';
import { openSubject } from './host-subject.ts';
import { ownServerDies } from './own-server.ts';
import { addressOf, run, runHere, setSysctl, until, World } from './world.ts';

const choice = { backend: 'nftables', reason: 'the test says so' } as const;
let world: World;
before(() => {
  world = new World({ directReturn: true, withRoleRules: true, vips: 2 });
});
after(() => world.close());

async function withSubject(body: (subject: BalancerSubject) => Promise<void>): Promise<void> {
  const subject = await openSubject(world, choice, 'directroute');
  try {
    await body(subject);
  } finally {
    await subject.close();
  }
}

function onlyStatus(subject: BalancerSubject): ForwardingSpecStatus {
  const [status] = subject.forwarding.status().specs;
  assert.ok(status);
  return status;
}

const list = (name: 'flows' | 'ended'): string =>
  runHere(`nft -j list ${name === 'flows' ? 'map' : 'set'} netdev kube-vip-lb ${name}_vs_6443_10.77.0.100`);
const flows = (name: 'flows' | 'ended'): number => list(name).match(/"concat"/g)?.length ?? 0;
/** What the only flow has left; seconds. */
const expires = (): number => Number(/"expires": (\d+)/.exec(list('flows'))?.[1]);

/** As many elements as there is room for; none is a client's. */
function fillSet(set: string, size: number): void {
  const kernel = openKernel({ clock: systemClock() });
  const nftables = openNftables(kernel.poller);
  const atOnce = 2000;
  for (let from = 0; from < size; from += atOnce) {
    const elements = Array.from({ length: Math.min(atOnce, size - from) }, (_, n) => ({
      key: `c6120${(from + n).toString(16).padStart(5, '0')}000000`,
    }));
    nftables.commit([{ do: 'add elements', family: 'netdev', table: TABLE, set, elements }]);
  }
  nftables.close();
  kernel.close();
}

/** Connections of the client that this server has not ended. */
function held(server: string): number {
  const text = run(server as 'server1', `ss -Htn dst ${addressOf('client', 4)} sport = :6443`);
  return text.split('\n').length;
}

/** The client has two ports to connect from. */
async function withTwoPorts(body: () => Promise<void>): Promise<void> {
  const range = run('client', 'sysctl -n net.ipv4.ip_local_port_range').trim();
  setSysctl('client', 'net.ipv4.ip_local_port_range', '40000\t40001');
  try {
    await body();
  } finally {
    setSysctl('client', 'net.ipv4.ip_local_port_range', range);
  }
}

/** Earlier connections from both ports, to that server; over or not. */
function remember(server: string, hasEnded: boolean): void {
  const ports = [40000, 40001].map((port) => `${addressOf('client', 4)} . ${port}`);
  const add = (what: string, elements: readonly string[]): string =>
    runHere(`nft add element netdev kube-vip-lb ${what}_vs_6443_10.77.0.100 { ${elements.join(', ')} }`);
  add(
    'flows',
    ports.map((port) => `${port} timeout 1m : ${server}`),
  );
  if (hasEnded) add('ended', ports);
}

test('connections are not tracked on the holder, and servers see the client’s own address', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    const connection = await subject.connect('client', vip, 6443);
    const server = connection.server as 'server1';
    assert.match(
      run(server, 'ss -Htn state established'),
      new RegExp(`10.77.0.100]:6443 +.*${addressOf('client', 4)}]:`),
    );
    assert.doesNotMatch(runHere('conntrack -L -p tcp --dport 6443'), /10\.77\.0\.100/);
    connection.close();
  }));

test('a flow is remembered for a quarter of an hour, and for a minute once it has ended', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    const connection = await subject.connect('client', vip, 6443);
    const { server } = connection;
    const before = held(server);
    assert.equal(await connection.echo(), true);
    assert.deepEqual([flows('flows'), flows('ended')], [1, 0]);
    assert.ok(expires() > 800);
    connection.close();
    // The client ends first: its last acknowledgement comes after that.
    await until('the server has ended too', () => held(server) < before);
    assert.deepEqual([flows('flows'), flows('ended')], [1, 1]);
    assert.ok(expires() <= 60);
  }));

test('a client that only acknowledges is remembered too', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    const connection = await subject.connect('client', vip, 6443);
    await until('its acknowledgement has come', () => expires() > 800);
    connection.close();
  }));

test('a port that is used again takes its turn: it does not lead back to its old server', () =>
  withSubject((subject) =>
    withTwoPorts(async () => {
      const vip = subject.vip(0, 4);
      await publish(subject, [virtualServer(subject, vip)]);
      remember('0x0a4d0004', true);
      const connection = await subject.connect('client', vip, 6443);
      assert.equal(connection.server, 'server1');
      assert.equal(await connection.echo(), true);
      assert.deepEqual([flows('flows'), flows('ended')], [2, 1]);
      connection.close();
    }),
  ));

test('a SYN that is sent again goes to the same server', () =>
  withSubject((subject) =>
    withTwoPorts(async () => {
      const vip = subject.vip(0, 4);
      await publish(subject, [virtualServer(subject, vip)]);
      remember('0x0a4d0004', false);
      const connection = await subject.connect('client', vip, 6443);
      assert.equal(connection.server, 'server2');
      connection.close();
    }),
  ));

test('what has ended is forgotten with its server, and counted as nobody’s connection', () =>
  withSubject((subject) =>
    withTwoPorts(async () => {
      const vip = subject.vip(0, 4);
      const spec = virtualServer(subject, vip);
      await publish(subject, [spec]);
      remember('0x0a4d0003', true);
      subject.forwarding.set([withState(spec, 1, 'dead')]);
      await until('it is forgotten', () => flows('flows') === 0);
      const { connectionsCut, clientsReset } = subject.forwarding.status().counters;
      assert.deepEqual([connectionsCut, clientsReset], [0, 0]);
    }),
  ));

test('a connection ends well when there is no room to remember more ends', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    const connection = await subject.connect('client', vip, 6443);
    const { server } = connection;
    const before = held(server);
    fillSet('ended_vs_6443_10.77.0.100', MAX_ENDED);
    connection.close();
    await until('the server has ended too', () => held(server) < before);
  }));

test('a client that knocks at a dead server gets another one, and no reset', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    subject.unplug(1);
    try {
      const connecting = subject.connect('client', vip, 6443);
      await until('it has knocked', () => flows('flows') === 1);
      subject.forwarding.set([withState(spec, 1, 'dead')]);
      const connection = await connecting;
      assert.notEqual(connection.server, 'server1');
      connection.close();
    } finally {
      subject.plugIn(1);
    }
  }));

test('the server on the holder itself takes part', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    const own = { address: addressOf('holder', 4), port: 6443, weight: 1, state: 'active' } as const;
    await publish(subject, [{ ...spec, realServers: [...spec.realServers, own] }]);
    const counts = await spread(subject, 'client', vip, 6443, 40);
    assert.deepEqual([...shares(counts), counts.get('holder')], [10, 10, 10, 10]);
    const local = await spread(subject, 'holder', vip, 6443, 40);
    assert.deepEqual([...shares(local), local.get('holder')], [10, 10, 10, 10]);
  }));

for (const family of [4, 6] as const) {
  test(`the server on the holder itself refuses nobody when it died, while another serves, IPv${family}`, () =>
    withSubject((subject) => ownServerDies(subject, world, family)));

  test(`a SYN to a server whose VIP has left lo is not sent around, and gets another server, IPv${family}`, () =>
    withSubject(async (subject) => {
      const vip = subject.vip(0, family);
      const all = virtualServer(subject, vip);
      const spec = { ...all, realServers: all.realServers.slice(0, 2) };
      await publish(subject, [spec]);
      const [path, length] =
        family === 4 ? ['net.ipv4.ip_forward', 32] : ['net.ipv6.conf.all.forwarding', 128];
      setSysctl('server2', path, '1');
      run('server2', `ip addr del ${vip}/${length} dev lo`);
      try {
        const { served, failed } = knock(subject, 'client', vip, 6);
        await subject.until('the other has served its', () => served.length >= 3);
        subject.forwarding.set([withState(spec, 2, 'dead')]);
        assert.deepEqual(await failed, []);
        assert.deepEqual(served, Array(6).fill('server1'));
        assert.match(run('server2', 'nft list ruleset'), /chain strays \{[^}]*counter packets [1-9]/);
      } finally {
        run('server2', `ip addr add ${vip}/${length} dev lo nodad preferred_lft 0`);
        setSysctl('server2', path, '0');
      }
    }));
}

test('a server with another MAC address is followed', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    run('server2', 'ip link set eth0 address 02:77:00:00:00:99');
    try {
      run('server2', `ping -c 1 -W 10 ${addressOf('holder', 4)}`);
      await until('the rule has the new address', () =>
        runHere('nft list ruleset').includes('02:77:00:00:00:99'),
      );
      assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 30)), [10, 10, 10]);
    } finally {
      run('server2', 'ip link set eth0 address 02:77:00:00:00:04');
      run('server2', `ping -c 1 -W 10 ${addressOf('holder', 4)}`);
    }
  }));

test('a link that comes back gets its rules again', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    await publish(subject, [virtualServer(subject, vip)]);
    run('holder', 'ip link set eth0 name eth9 down');
    run('holder', 'ip link set eth9 name eth0 up');
    await until('it balances', async () => {
      const counts = shares(
        await spread(subject, 'client', vip, 6443, 6).catch(() => new Map<string, number>()),
      );
      return counts.join() === '2,2,2';
    });
  }));

test('a server that is not on the link is left out with a clear message; when none is, the virtual server fails', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    const far = { address: ip('192.0.2.7'), port: 6443, weight: 1, state: 'active' } as const;
    subject.forwarding.set([{ ...spec, realServers: [...spec.realServers.slice(0, 2), far] }]);
    await until('it is ready', () => onlyStatus(subject).state.state === 'ready');
    assert.match(
      onlyStatus(subject).notes.join(),
      /192\.0\.2\.7 is not on link eth0: direct return reaches only neighbours/,
    );
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 20)), [10, 10, 0]);
    subject.forwarding.set([{ ...spec, realServers: [far] }]);
    await until('it has failed', () => onlyStatus(subject).state.state === 'failed');
    assert.deepEqual(subject.traces(), []);
  }));

test('ports that differ are refused with a clear message, and nothing is left', () =>
  withSubject(async (subject) => {
    subject.forwarding.set([virtualServer(subject, subject.vip(0, 4), { port: 443 })]);
    const { state } = onlyStatus(subject);
    assert.ok(state.state === 'failed');
    assert.match(
      state.reason,
      /directroute cannot translate ports: VIP port 443 must be the servers' port 6443/,
    );
    assert.deepEqual(subject.traces(), []);
  }));

test('where direct return finds no way, translation takes over', () =>
  withSubject(async (subject) => {
    const vip = subject.vip(0, 4);
    const spec = virtualServer(subject, vip);
    await publish(subject, [spec]);
    // No mark leads anywhere, as when the flow memory is full.
    runHere('nft flush map netdev kube-vip-lb servers_eth0');
    const counts = await spread(subject, 'client', vip, 6443, 1);
    assert.equal([...counts.values()][0], 1);
    await until('it is repaired', () => subject.forwarding.status().counters.repairs > 0);
    await publish(subject, [withState(spec, 1, 'draining')]);
    assert.deepEqual(shares(await spread(subject, 'client', vip, 6443, 20)), [0, 10, 10]);
  }));
