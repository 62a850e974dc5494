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

test('auto takes IPVS where the kernel has it and nobody else uses it, otherwise nftables', () => {
  assert.equal(chosen('auto'), 'ipvs');
  assert.equal(chosen('auto', { ipvsMissing: noIpvs }), 'nftables');
  assert.equal(chosen('auto', { foreignServices: 3 }), 'nftables');
  assert.equal(chosen('auto', { foreignServices: 3, nftablesMissing: 'no nf_tables' }), 'ipvs');
});

test('the reason for a choice is told', () => {
  const reason = (over: Partial<BalancerFacts>): string => {
    const choice = chooseBackend('auto', { ...facts, ...over });
    return 'refused' in choice ? '' : choice.reason;
  };
  assert.equal(reason({ foreignServices: 3 }), 'IPVS holds 3 services of somebody else');
  assert.equal(reason({ ipvsMissing: noIpvs }), noIpvs);
  assert.match(reason({}), /nobody else uses it/);
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
