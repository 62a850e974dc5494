import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBackend, type BalancerFacts } from '../../../src/node/forwarding/index.ts';

const facts: BalancerFacts = {
  ipvsMissing: undefined,
  nftablesMissing: undefined,
  foreignServices: 0,
  methods: ['masquerade'],
};
const noIpvs = 'this kernel has no IPVS: ensure IPVS kernel modules are loaded';

function chosen(wanted: 'auto' | 'ipvs' | 'nftables', over: Partial<BalancerFacts> = {}): string {
  const choice = chooseBackend(wanted, { ...facts, ...over });
  return 'refused' in choice ? `refused: ${choice.refused}` : choice.backend;
}

test('auto takes nftables, and IPVS where nf_tables is missing', () => {
  assert.equal(chosen('auto'), 'nftables');
  assert.equal(chosen('auto', { ipvsMissing: noIpvs }), 'nftables');
  assert.equal(chosen('auto', { nftablesMissing: 'no nf_tables' }), 'ipvs');
});

test('a method that only IPVS has takes IPVS, and cannot be had from nftables', () => {
  assert.equal(chosen('auto', { methods: ['tunnel'] }), 'ipvs');
  assert.match(chosen('nftables', { methods: ['bypass'] }), /^refused: .*bypass needs IPVS/);
});

test('what is asked for and missing is refused with the remedy', () => {
  assert.equal(chosen('ipvs', { ipvsMissing: noIpvs }), `refused: ${noIpvs}`);
  assert.equal(chosen('nftables', { nftablesMissing: 'no nf_tables' }), 'refused: no nf_tables');
  assert.equal(
    chosen('auto', { ipvsMissing: noIpvs, nftablesMissing: 'no nf_tables' }),
    `refused: ${noIpvs}; no nf_tables`,
  );
});
