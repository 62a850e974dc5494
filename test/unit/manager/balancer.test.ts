import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { probeIntervalMs } from '../../../src/manager/balancer-settings.ts';
import { balanced } from '../../../src/manager/balancer-specs.ts';
import { loadConfig } from '../config/helpers.ts';

function intervalWith(env: Readonly<Record<string, string>>): number {
  const { config, sources } = loadConfig({
    argv: [],
    env: { vip_arp: 'true', cp_enable: 'true', address: '192.0.2.1', lb_enable: 'true', ...env },
    readFile: () => '',
    hostname: 'node-a',
  });
  return probeIntervalMs(config, sources);
}

test('CP-172 backend_health_check_interval=0 means 5 s, and so does a negative one', () => {
  assert.equal(intervalWith({ backend_health_check_interval: '0' }), 5000);
  assert.equal(intervalWith({ backend_health_check_interval: '-3' }), 5000);
});

test('the interval of the probes: ours where set, else the original one where set, else 500 ms', () => {
  assert.equal(intervalWith({}), 500);
  assert.equal(intervalWith({ backend_health_check_interval: '7' }), 7000);
  assert.equal(intervalWith({ backend_health_check_interval: '7', lb_probe_interval_ms: '250' }), 250);
});

test('a VIP whose servers only drain is not balanced: new connections go to the API server of the holder', () => {
  const server = (state: 'active' | 'draining' | 'dead') => ({
    address: ip('192.0.2.11'),
    weight: 1,
    state,
    isProven: true,
  });
  const [one, two] = [ip('192.0.2.1'), ip('192.0.2.2')];
  const servers = new Map([
    [one, [server('draining'), server('dead')]],
    [two, [server('active'), server('draining')]],
  ]);
  assert.deepEqual([...balanced(servers).keys()], [two]);
  assert.equal(balanced(new Map([[one, []]])).size, 0);
});
