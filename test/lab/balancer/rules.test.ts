import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { ip, type Mac } from '../../../src/lib/ip.ts';
import {
  enterNewNamespace,
  openKernel,
  openNftables,
  systemClock,
  type Nftables,
  type NftTable,
  type OpenKernel,
} from '../../../src/linux/index.ts';
import { tableBesideIpvs } from '../../../src/node/forwarding/nftables/beside-ipvs.ts';
import { directReturnTable } from '../../../src/node/forwarding/nftables/direct-return.ts';
import { observedOf, planTables } from '../../../src/node/forwarding/nftables/plan.ts';
import { roleTable } from '../../../src/node/forwarding/nftables/refusals.ts';
import { translated, type Service } from '../../../src/node/forwarding/nftables/service.ts';
import { translationTable } from '../../../src/node/forwarding/nftables/translation.ts';
import type { VirtualServerSpec } from '../../../src/node/forwarding/types.ts';
import { server, spec } from '../../unit/balancer/scene.ts';

/** What nft(8), which did not write them, makes of our rules. */
let kernel: OpenKernel;
let nftables: Nftables;

before(() => {
  enterNewNamespace();
  execFileSync('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far']);
  kernel = openKernel({ clock: systemClock() });
  nftables = openNftables(kernel.poller);
});
after(() => {
  nftables.close();
  kernel.close();
});

function virtualServer(vip: string, servers: readonly string[]): VirtualServerSpec {
  return spec(vip, { realServers: servers.map((address) => server(address)) });
}

function direct(spec: VirtualServerSpec): Service {
  const [first, second] = spec.realServers;
  assert.ok(first && second);
  return {
    ...translated(spec),
    direct: {
      link: 'eth0',
      ifindex: kernel.linkByName('eth0')?.index ?? 0,
      mac: '02:00:00:00:00:01' as Mac,
      servers: [
        { server: first, mark: 0x0a000001, via: '02:00:00:00:00:02' as Mac },
        { server: second, mark: 0x0a000002, via: 'this node' },
      ],
    },
  };
}

/** The rules as nft(8) prints them, without our fingerprints; then everything is removed again. */
function printed(...tables: readonly (NftTable | undefined)[]): string {
  const wanted = tables.flatMap((table) => table ?? []);
  nftables.commit(planTables(wanted, []));
  try {
    const text = execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' });
    // What it prints it must also take: an administrator may save and load all rules.
    execFileSync('nft', ['-c', '-f', '-'], { input: text });
    return text.replaceAll(/ comment "[^"]*"/g, '').replaceAll('\t', '  ');
  } finally {
    nftables.commit(planTables([], observedOf(wanted)));
  }
}

function chain(text: string, name: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const start = lines.indexOf(`chain ${name} {`);
  return start < 0 ? [] : lines.slice(start + 1, lines.indexOf('}', start));
}

test('translation', () => {
  const text = printed(
    translationTable('ip', [translated(virtualServer('10.0.0.100', ['10.0.0.1', '10.0.0.2']))]),
  );
  assert.deepEqual(chain(text, 'vs_6443_10.0.0.100'), [
    'meta l4proto tcp dnat ip to numgen inc mod 2 map @turns_vs_6443_10.0.0.100',
  ]);
  assert.match(text, /typeof numgen inc mod 2 : ip daddr \. tcp dport/);
  assert.match(text, /elements = \{ 0 : 10\.0\.0\.1 \. 6443, 1 : 10\.0\.0\.2 \. 6443 \}/);
  const balance = 'tcp flags syn / fin,syn,rst,ack ip daddr . tcp dport vmap @services';
  assert.deepEqual(chain(text, 'prerouting'), [
    'type nat hook prerouting priority dstnat - 10; policy accept;',
    balance,
  ]);
  assert.deepEqual(chain(text, 'output'), ['type nat hook output priority -110; policy accept;', balance]);
  assert.deepEqual(chain(text, 'postrouting'), [
    'type nat hook postrouting priority srcnat - 10; policy accept;',
    'oifname != "lo" ct status dnat meta l4proto tcp snat to ct original ip daddr . ct original proto-dst map @sources',
  ]);
  assert.deepEqual(chain(text, 'input'), [
    'type filter hook input priority mangle; policy accept;',
    'ip daddr . tcp dport @vips ct state invalid,new reject with tcp reset',
  ]);
});

test('refusals of new connections, while another server is known to answer', () => {
  const proven = (vip: string, ...servers: readonly [string, boolean][]): VirtualServerSpec =>
    spec(vip, { realServers: servers.map(([address, isProven]) => server(address, { isProven })) });
  const text = printed(
    translationTable('ip', [
      translated(proven('10.0.0.100', ['10.0.0.1', true], ['10.0.0.2', true])),
      translated(proven('10.0.0.101', ['10.0.0.1', false], ['10.0.0.2', true])),
      translated(proven('10.0.0.102', ['10.0.0.1', false], ['10.0.0.2', false])),
    ]),
  );
  const refusal =
    'tcp flags rst,ack / fin,syn,rst,ack tcp sequence 0 ct state established ' +
    'ct original ip daddr . ct original proto-dst . ip saddr vmap @refused';
  assert.deepEqual(chain(text, 'refusals'), [
    'type filter hook prerouting priority mangle; policy accept;',
    refusal,
  ]);
  assert.deepEqual(chain(text, 'own_refusals'), [
    'type filter hook output priority mangle; policy accept;',
    refusal,
  ]);
  assert.deepEqual(chain(text, 'knock_again'), [
    'meta l4proto tcp counter packets 0 bytes 0 tcp ackseq set 0',
  ]);
  const refused = /map refused \{[^}]*elements = \{([^}]*)\}/.exec(text)?.[1] ?? '';
  const keys = [...refused.matchAll(/([\d.]+ \. \d+ \. [\d.]+) : goto knock_again/g)].map(([, key]) => key);
  assert.deepEqual(keys.sort(), [
    '10.0.0.100 . 6443 . 10.0.0.1',
    '10.0.0.100 . 6443 . 10.0.0.2',
    '10.0.0.101 . 6443 . 10.0.0.1',
  ]);
});

test('translation of IPv6, by a hash', () => {
  const spec: VirtualServerSpec = { ...virtualServer('fd00::100', ['fd00::1', 'fd00::2']), scheduler: 'sh' };
  const text = printed(translationTable('ip6', [translated(spec)]));
  assert.deepEqual(chain(text, 'vs_6443_fd00__100'), [
    'meta l4proto tcp dnat ip6 to jhash ip6 saddr mod 251 seed 0x6b766970 map @turns_vs_6443_fd00__100',
  ]);
  assert.match(text, /typeof numgen inc mod 2 : ip6 daddr \. tcp dport/);
});

test('direct return', () => {
  const text = printed(directReturnTable([direct(virtualServer('10.0.0.100', ['10.0.0.1', '10.0.0.2']))]));
  const flows = '@flows_vs_6443_10.0.0.100';
  const ended = '@ended_vs_6443_10.0.0.100';
  const client = 'ip saddr . tcp sport';
  const send = 'meta mark vmap @servers_eth0';
  const known = `meta mark set ${client} map ${flows}`;
  const keepOn = `${known} update ${flows} { ${client} timeout 15m : meta mark } ${send}`;
  assert.deepEqual(chain(text, 'vs_6443_10.0.0.100'), [
    `tcp flags psh / fin,syn,rst,psh ${keepOn}`,
    `tcp flags ! fin,syn,rst ${client} != ${ended} ${keepOn}`,
    'meta protocol ip tcp flags syn / fin,syn,rst,ack goto new_6443_10.0.0.100',
    `tcp flags ! fin,syn,rst ${known} ${send}`,
    `tcp flags fin,rst ${known} update ${flows} { ${client} timeout 1m : meta mark } ` +
      `limit rate 1000/second burst 1000 packets update ${ended} { ${client} timeout 1m } ${send}`,
    `meta protocol ip tcp flags fin,rst ${send}`,
    'meta mark set 0x00000000',
  ]);
  assert.deepEqual(chain(text, 'new_6443_10.0.0.100'), [
    'meta mark set numgen inc mod 2 meta mark set meta mark map @turns_vs_6443_10.0.0.100 goto note_6443_10.0.0.100',
  ]);
  assert.match(text, /elements = \{ 0x00000000 : 0x0a000001, 0x00000001 : 0x0a000002 \}/);
  assert.deepEqual(chain(text, 'note_6443_10.0.0.100'), [
    `${client} ${ended} delete ${ended} { ${client} } delete ${flows} { ${client} : meta mark }`,
    `update ${flows} { ${client} timeout 1m : meta mark } ${known} ${send}`,
  ]);
  assert.deepEqual(chain(text, 'to_eth0_10.0.0.1'), [
    '@ll,0,48 set 0x20000000002 @ll,48,48 set 0x20000000001 fwd to "eth0"',
  ]);
  assert.match(
    chain(text, 'to_eth0_10.0.0.2').join(),
    /meta mark set 0x00000000 meta priority set \S+ accept$/,
  );
  const [hook, dispatch = ''] = chain(text, 'in_eth0');
  assert.equal(hook, 'type filter hook ingress device "eth0" priority filter; policy accept;');
  assert.match(dispatch, /meta pkttype host ip daddr \. tcp dport vmap @services4_eth0$/);
});

test('direct return, while another server is known to answer: a stamp on each SYN, and quiet refusals', () => {
  const proven = (vip: string, ...servers: readonly string[]): VirtualServerSpec =>
    spec(vip, { realServers: servers.map((address) => server(address, { isProven: true })) });
  const specs = [
    proven('10.0.0.100', '10.0.0.1', '10.0.0.2'),
    virtualServer('10.0.0.101', ['10.0.0.1', '10.0.0.2']),
  ].map(direct);
  const text = printed(directReturnTable(specs), translationTable('ip', specs));
  assert.match(chain(text, 'note_6443_10.0.0.100').join(), /ip dscp set 0x03 update/);
  assert.doesNotMatch(chain(text, 'note_6443_10.0.0.101').join(), /dscp/);
  // The second one is on this node, and answers as the VIP.
  assert.match(text, /10\.0\.0\.100 \. 6443 \. 10\.0\.0\.100 : goto keep_quiet/);
  assert.doesNotMatch(text, /10\.0\.0\.101 \. 6443 \. /);
  assert.deepEqual(chain(text, 'keep_quiet'), ['counter packets 0 bytes 0 drop']);
});

test('a server of direct return by itself', () => {
  const text = printed(
    roleTable('ip', 'kube-vip-role', [ip('10.0.0.100')]),
    roleTable('ip6', 'kube-vip-role', [ip('fd00::100')]),
  );
  assert.deepEqual(chain(text, 'refusals'), [
    'type filter hook output priority mangle; policy accept;',
    'tcp flags rst,ack / fin,syn,rst,ack tcp sequence 0 ip dscp 0x03 ip saddr @vips counter packets 0 bytes 0 drop',
  ]);
  assert.deepEqual(chain(text, 'strays'), [
    'type filter hook forward priority mangle; policy accept;',
    'tcp flags syn / fin,syn,rst,ack ip dscp 0x03 ip daddr @vips counter packets 0 bytes 0 drop',
  ]);
  assert.match(text, /table ip6 kube-vip-role .*ip6 dscp 0x03 ip6 saddr @vips/s);
});

test('beside IPVS', () => {
  const spec = virtualServer('10.0.0.100', ['10.0.0.1', '10.0.0.2']);
  const text = printed(tableBesideIpvs('ip', [{ spec, mark: 10_042 }], []));
  assert.match(text, /elements = \{ 10\.0\.0\.100 \. 6443 : 0x0000273a \}/);
  assert.match(text, /meta mark set ip daddr \. tcp dport map @marks/);
});
