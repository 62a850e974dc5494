import type { StatusDocument } from '../../../src/observe/status.ts';

/** A node that holds the control-plane lease. */
export function statusDocument(): StatusDocument {
  return {
    version: 'v0.1.0',
    build: 'abc',
    node: 'cp-1',
    pid: 42,
    time: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 61,
    notReady: [],
    mode: 'ARP',
    vips: [
      {
        vip: '192.0.2.1',
        link: 'eth0',
        kind: 'address',
        owners: ['control-plane'],
        present: true,
        state: 'ready',
      },
      {
        vip: '192.0.2.1',
        link: 'eth0',
        kind: 'announcement',
        owners: ['control-plane'],
        present: true,
        state: 'waiting',
        reason: 'link down',
      },
    ],
    balancer: undefined,
    peers: [
      {
        address: '192.0.2.254',
        port: 179,
        as: 65_500,
        state: 'established',
        sinceSeconds: 12,
        reason: 'established',
        routerId: '192.0.2.254',
        holdTime: 30,
        bfd: 'up',
        sessions: 1,
        advertised: [{ prefix: '192.0.2.10/32', nextHop: '192.0.2.1' }],
      },
      {
        address: '2001:db8::254',
        port: 179,
        as: 65_500,
        state: 'active',
        sinceSeconds: 3,
        reason: 'not connected: connect ECONNREFUSED',
        routerId: undefined,
        holdTime: undefined,
        bfd: undefined,
        sessions: 0,
        advertised: [],
      },
    ],
    ipam: undefined,
    leases: [
      {
        lease: 'kube-system/plndr-cp-lock',
        identity: 'cp-1',
        holder: 'cp-1',
        isHolder: true,
        lastRenewAgeMs: 1500,
        transitions: 3,
        lastReason: 'renewed',
        lastError: undefined,
      },
    ],
    watches: [{ resource: 'leases', synced: true, items: 1, ageMs: 250, relists: 2, lastError: 'reset' }],
    timers: [{ name: 'renew', inMs: 1999.6 }],
    claimants: [
      { vip: '192.0.2.1', link: 'eth0', mac: '02:00:00:00:00:09', time: '2026-01-01T00:00:00.000Z' },
    ],
    counters: [{ name: 'kube_vip_announcements_total', labels: { result: 'sent' }, value: 7 }],
  };
}
