import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../../src/config/index.ts';
import { renderDump } from '../../../src/observe/dump.ts';
import { statusDocument } from './status-document.ts';

const textOf = (of: Parameters<typeof renderDump>[0]): string => [...renderDump(of)].join('');

const snapshot = {
  config: {
    ...defaultConfig,
    enableArp: true,
    address: '192.0.2.1',
    bgpPeerPass: 'hunter2',
    interface: 'eth0',
  },
  status: statusDocument(),
  services: undefined,
  tables: [],
  loop: { p50Ms: 0.1, p99Ms: 2, maxMs: 35.25 },
};

test('the dump has its frame and every heading, in order', () => {
  const lines = textOf(snapshot).split('\n');
  const rule = '='.repeat(80);
  assert.deepEqual(lines.slice(0, 3), [rule, 'KUBE-VIP CONFIGURATION DUMP', rule]);
  assert.deepEqual(lines.slice(-4), [rule, 'END OF CONFIGURATION DUMP', rule, '']);
  assert.deepEqual(
    lines.filter((line) => line.startsWith('--- ')),
    [
      '--- BASIC CONFIGURATION ---',
      '--- BGP CONFIGURATION ---',
      '--- ARP/NDP CONFIGURATION ---',
      '--- SERVICES CONFIGURATION ---',
      '--- KUBERNETES CONFIGURATION (SERVICES/ENDPOINTSLICES) ---',
      '--- NETWORK INTERFACES ---',
      '--- LEADER ELECTION CONFIGURATION ---',
      '--- RUNTIME STATISTICS ---',
      '--- NFTABLES CONFIGURATION ---',
    ],
  );
});

test('the dump has the lines that scripts grep for, and what this program knows beyond', () => {
  const text = textOf(snapshot);
  for (const line of [
    'Timestamp: 2026-01-01T00:00:00.000Z',
    'Node Name: cp-1',
    'Process ID: 42',
    'VIP: 192.0.2.1',
    'Interface: eth0',
    'ARP Enabled: true',
    'BGP Enabled: false',
    'Control Plane Enabled: false',
    'Lease Name: plndr-cp-lock',
    '  kube-system/plndr-cp-lock: holder cp-1, this node holds it, renewed 1500ms ago, 3 transitions',
    '  announcement 192.0.2.1 on eth0: waiting (link down), owners control-plane',
    '  2026-01-01T00:00:00.000Z 02:00:00:00:00:09 claims 192.0.2.1 on eth0',
    '  watch leases: 1 items, heard 250ms ago, 2 relists, last error: reset',
    '  timer renew: in 2000ms',
    'Event Loop Delay: p50 0.1ms, p99 2.0ms, max 35.3ms',
    '  counter kube_vip_announcements_total result=sent: 7',
  ])
    assert.ok(text.split('\n').includes(line), line);
});

test('CP-129 scripts find the labels that kube-vip writes', () => {
  const config = { ...snapshot.config, enableBgp: true, enableServices: true };
  const labels = textOf({ ...snapshot, config, services: [] })
    .split('\n')
    .map((line) => line.split(':')[0]);
  for (const label of `VIP,VIP Subnet,Port,Namespace,Instance Name,Service Namespace,Interface,Services Interface,Single Node Mode
Start As Leader,BGP Enabled,BGP AS,BGP Router ID,BGP Source IP,BGP Source Interface,BGP Hold Time,BGP Keepalive Interval,BGP Peers
ARP Enabled,ARP Broadcast Rate,Wireguard Enabled,Routing Table Enabled,Routing Table ID,Routing Protocol,Clean Routing Table
Services Enabled,Services Election,Load Balancer Class Only,Load Balancer Class Name,Disable Service Updates,Enable Endpoints
Service Security Enabled,Kube-vip Active Service Instances,Control Plane Enabled,Detect Control Plane,Leader Election Type
Leader Election Enabled,Lease Name,Lease Duration,Renew Deadline,Retry Period,Services Lease Name,Node Labeling Enabled
Load Balancer Enabled,Load Balancer Port,Load Balancer Forwarding Method,Load Balancers Configured,Prometheus HTTP Server
Health Check Port,UPNP Enabled,Egress Clean Enabled,Egress with nftables,Egress Pod CIDR,Egress Service CIDR`.split(
    /[,\n]/,
  ))
    assert.ok(labels.includes(label), label);
});

test('the dump holds no secret', () => {
  assert.doesNotMatch(textOf({ ...snapshot, config: { ...snapshot.config, enableBgp: true } }), /hunter2/);
});

test('OBS-02 the dump names active Services with their UID, and what becomes of the others', () => {
  const service = (name: string, isActive: boolean, state: string) => ({
    service: `shop/${name}`,
    uid: `uid-${name}`,
    isActive,
    vips: ['192.0.2.1', '2001:db8::1'],
    lease: 'kube-system/plndr-svcs-lock',
    slices: 2,
    endpoints: 3,
    state,
  });
  const services = [service('web', true, 'advertised'), service('api', false, 'no-endpoints (none)')];
  const tables = [
    { family: 'ip', name: 'kube-vip-guard', chains: [{ name: 'prerouting', rules: ['to a guarded VIP'] }] },
  ];
  const lines = textOf({ ...snapshot, services, tables }).split('\n');
  for (const line of [
    'Kube-vip Active Service Instances: 1',
    '  shop/web (UID uid-web): 192.0.2.1 2001:db8::1',
    'Services: 2',
    'EndpointSlices: 4',
    '  shop/api: no-endpoints (none); VIPs 192.0.2.1 2001:db8::1; lease kube-system/plndr-svcs-lock; 3 endpoints in 2 slices',
    '  table ip kube-vip-guard',
    '    chain prerouting: to a guarded VIP',
  ])
    assert.ok(lines.includes(line), line);
  assert.ok(!lines.some((line) => line.includes('uid-api')));
});

test('the dump of very many Services is cut', () => {
  const one = {
    service: 's',
    uid: 'u',
    isActive: true,
    vips: [],
    lease: undefined,
    slices: 0,
    endpoints: 0,
    state: '',
  };
  const text = textOf({ ...snapshot, services: Array.from({ length: 1500 }, () => one) });
  assert.equal(text.match(/\.\.\. and 500 more/g)?.length, 2);
});

test('in BGP mode the dump tells of the peers and of what they know', () => {
  const config = { ...snapshot.config, enableArp: false, enableBgp: true, bgpRouterId: '192.0.2.1' };
  const text = textOf({ ...snapshot, config });
  for (const line of [
    'BGP Enabled: true',
    'BGP AS: 65000',
    'BGP Router ID: 192.0.2.1',
    'BGP Peers: 2',
    '  Peer 1: 192.0.2.254:179 (AS: 65500), established for 12s (established), 1 sessions, BFD up',
    '--- ACTIVE BGP RIB STATE ---',
    '  192.0.2.10/32 next hop 192.0.2.1, known to 192.0.2.254',
  ])
    assert.ok(text.split('\n').includes(line), line);
  assert.doesNotMatch(text, /hunter2/);
});
