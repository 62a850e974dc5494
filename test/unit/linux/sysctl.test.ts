import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sysctlPath } from '../../../src/linux/sysctl.ts';

test('dots separate, and a slash stands for a dot', () => {
  assert.equal(sysctlPath('net.ipv4.ip_forward'), '/proc/sys/net/ipv4/ip_forward');
  assert.equal(
    sysctlPath('net.ipv4.conf.eth0/100.arp_ignore'),
    '/proc/sys/net/ipv4/conf/eth0.100/arp_ignore',
  );
});

test('a name cannot leave /proc/sys', () => {
  for (const name of ['', 'net..x', 'net.//.//.//etc', 'net./', '.net']) {
    assert.throws(() => sysctlPath(name), RangeError, name);
  }
});
