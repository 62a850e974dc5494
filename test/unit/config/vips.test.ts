import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlPlaneVips } from '../../../src/config/index.ts';
import { derivedSubnet, hasNames, parseVips } from '../../../src/config/vips.ts';
import { load, working } from './helpers.ts';

test('each family takes its part of the subnet, whatever the order of addresses', () => {
  const rows: readonly [address: string, subnet: string, expected: string][] = [
    ['192.0.2.1', '', '192.0.2.1/32'],
    ['2001:db8::1', '', '2001:db8::1/128'],
    ['192.0.2.1', '24', '192.0.2.1/24'],
    ['2001:db8::1', '64', '2001:db8::1/64'],
    ['2001:DB8:0::1', '24,64', '2001:db8::1/64'],
    ['2001:db8::1, 192.0.2.1', '24,64', '2001:db8::1/64 192.0.2.1/24'],
    ['192.0.2.1,2001:db8::1', '32', '192.0.2.1/32 2001:db8::1/32'],
    [' 192.0.2.1 ,, 192.0.2.1', ' 25 ', '192.0.2.1/25'],
    ['192.0.2.1', '32,128', '192.0.2.1/32'],
  ];
  for (const [address, subnet, expected] of rows) {
    const { vips, names, problems } = parseVips(address, subnet);
    assert.deepEqual([names, problems], [[], []], address);
    assert.equal(vips.map(({ vip, prefixLength }) => `${vip}/${prefixLength}`).join(' '), expected);
  }
});

test('a list of addresses is split and trimmed, without and with a mixed subnet', () => {
  const { config } = load({ env: { ...working, address: '2001:db8::1, 192.0.2.1' } });
  assert.equal(config.vipSubnet, '32,128');
  assert.deepEqual(controlPlaneVips(config), [
    { vip: '2001:db8::1', prefixLength: 128 },
    { vip: '192.0.2.1', prefixLength: 32 },
  ]);
});

test('the subnet that an empty one stands for', () => {
  assert.equal(derivedSubnet('192.0.2.1'), '32');
  assert.equal(derivedSubnet('2001:db8::1'), '128');
  assert.equal(derivedSubnet('2001:db8::1,192.0.2.1'), '32,128');
  assert.equal(derivedSubnet('vip.example'), '32,128');
  assert.equal(derivedSubnet('192.0.2.1,vip.example'), '32,128');
});

test('names are told from addresses and from broken addresses', () => {
  for (const name of ['vip.example', 'vip', 'a-b.c_d.example.', '1.example', '10.0.0.a', '192.0.2.1,vip'])
    assert.equal(hasNames(name), true, name);
  for (const text of ['', '192.0.2.1', '::1', '10.0.0', '192.0.2.300', '::g', '-a', 'a..b', 'a b', '*', '1'])
    assert.equal(hasNames(text), false, text);
  assert.deepEqual(parseVips('vip.example,192.0.2.1', '').names, ['vip.example']);
});

test('addresses that can be nobody’s VIP are refused', () => {
  for (const address of [
    '0.0.0.0',
    '::',
    '255.255.255.255',
    '224.0.0.1',
    '239.255.255.255',
    'ff02::1',
    '::ffff:192.0.2.1',
    '::1%lo',
    '1.2.3',
  ])
    assert.equal(parseVips(address, '').problems.length, 1, address);
  for (const address of ['223.255.255.255', '240.0.0.1', '10.0.0.0', 'fe80::1'])
    assert.deepEqual(parseVips(address, '').problems, [], address);
});
