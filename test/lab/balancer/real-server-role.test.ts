import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { enterNewNamespace, openForwardingPorts, openKernel, systemClock } from '../../../src/linux/index.ts';
import {
  createForwarding,
  type Forwarding,
  type ForwardingSpec,
} from '../../../src/node/forwarding/index.ts';
import { until } from './world.ts';

/** This node as a real server of a direct-return VIP, in a namespace of its own. */
const choice = { backend: 'nftables', reason: 'the test says so' } as const;
const role4: ForwardingSpec = { kind: 'real-server-role', vip: ip('192.0.2.10'), isListening: true };
const role6: ForwardingSpec = { kind: 'real-server-role', vip: ip('2001:db8::10'), isListening: true };

const tell = (command: string): string => {
  const [program = '', ...args] = command.split(' ');
  return execFileSync(program, args, { encoding: 'utf8' });
};
const setting = (name: string): string => tell(`sysctl -n net.ipv4.conf.all.${name}`).trim();
const settings = (): readonly string[] => [setting('arp_ignore'), setting('arp_announce')];
const onLo = (): readonly string[] =>
  [...tell('ip -o addr show dev lo').matchAll(/inet6? (\S+)/g)].map(([, a]) => a ?? '');
const tables = (): string => tell('nft list tables').trim();

let ends: (() => void)[] = [];

async function open(): Promise<Forwarding> {
  const kernel = openKernel({ clock: systemClock() });
  const ports = await openForwardingPorts(kernel);
  const forwarding = createForwarding({ ...ports, clock: systemClock(), log: silentLogger }, { choice });
  await forwarding.start();
  ends.push(() => {
    forwarding.abandon();
    ports.close();
    kernel.close();
  });
  return forwarding;
}

before(() => {
  enterNewNamespace();
  tell('ip link set lo up');
  tell('sysctl -qw net.ipv4.conf.all.arp_announce=1');
});
after(() => {
  for (const end of ends) end();
  ends = [];
});

test('the VIP is on lo, ARP keeps quiet about it, and both are taken back to what they were', async () => {
  const forwarding = await open();
  assert.deepEqual(settings(), ['0', '1']);
  forwarding.set([role4, role6]);
  assert.deepEqual(settings(), ['1', '2']);
  assert.deepEqual(onLo(), ['127.0.0.1/8', '192.0.2.10/32', '2001:db8::10/128', '::1/128']);
  assert.deepEqual(
    forwarding.status().specs.map(({ state }) => state.state),
    ['ready', 'ready'],
  );
  forwarding.set([role6]);
  assert.deepEqual(settings(), ['0', '1']);
  await forwarding.close();
  assert.deepEqual(onLo(), ['127.0.0.1/8', '::1/128']);
  assert.equal(tables(), '');
});

test('a VIP that somebody takes from lo is back at once', async () => {
  const forwarding = await open();
  forwarding.set([role4]);
  tell('ip addr del 192.0.2.10/32 dev lo');
  await until('it is back', () => onLo().includes('192.0.2.10/32'));
  assert.equal(forwarding.status().counters.repairs, 1);
  await forwarding.close();
});

test('a successor of a crashed program restores the settings of before the crash', async () => {
  const first = await open();
  first.set([role4]);
  first.abandon();
  assert.match(tables(), /kube-vip-role/);
  const second = await open();
  second.set([]);
  assert.deepEqual(settings(), ['0', '1']);
  assert.deepEqual(onLo(), ['127.0.0.1/8', '::1/128']);
  assert.equal(tables(), '');
  await second.close();
});

test('a setting that somebody else has changed meanwhile stays as they want it', async () => {
  const forwarding = await open();
  forwarding.set([role4]);
  tell('sysctl -qw net.ipv4.conf.all.arp_ignore=2');
  await forwarding.close();
  assert.deepEqual(settings(), ['2', '1']);
  tell('sysctl -qw net.ipv4.conf.all.arp_ignore=0');
});

test('beside kube-proxy in IPVS mode ARP stays quiet: it wants the same for its own VIPs, and looks at its start alone', async () => {
  const forwarding = await open();
  const before = settings();
  forwarding.set([role4]);
  assert.deepEqual(settings(), ['1', '2']);
  tell('ip link add kube-ipvs0 type bridge');
  forwarding.set([]);
  assert.deepEqual(settings(), ['1', '2']);
  assert.deepEqual([tables(), onLo()], ['', ['127.0.0.1/8', '::1/128']]);
  tell('ip link del kube-ipvs0');
  tell(`sysctl -qw net.ipv4.conf.all.arp_ignore=${before[0]} net.ipv4.conf.all.arp_announce=${before[1]}`);
});
