import type { Mutant } from './mutant.ts';

const test = 'test/unit/ipam/allocate.test.ts';
const pools = 'src/ipam/pools.ts';
const allocate = 'src/ipam/allocate.ts';

/** Addresses for Services, IPAM lines. */
export const addressMutants: readonly Mutant[] = [
  {
    line: 'IPAM-01',
    file: pools,
    from: "[`cidr-${namespace}`, 'cidr-global', `range-${namespace}`, 'range-global']",
    to: "[`cidr-${namespace}`, `range-${namespace}`, 'cidr-global', 'range-global']",
    test,
  },
  {
    line: 'IPAM-02',
    file: pools,
    from: "text.split(',').map((part) => part.trim())",
    to: '[text]',
    test,
  },
  {
    line: 'IPAM-03',
    file: 'src/ipam/ranges.ts',
    from: '(value & 0xffn) === 0n || (value & 0xffn) === 0xffn',
    to: '(value & 0xffn) === 0n',
    test,
  },
  {
    line: 'IPAM-04',
    file: pools,
    from: "data['search-order'] === 'desc'",
    to: "data['search-order'] === 'down'",
    test,
  },
  { line: 'IPAM-05', file: pools, from: "dhcp: text === '0.0.0.0/32',", to: 'dhcp: false,', test },
  { line: 'IPAM-06', file: allocate, from: 'first === 4 ? [4, 6] : [6, 4]', to: '[4, 6]', test },
  { line: 'IPAM-07', file: allocate, from: 'if (complete ||', to: 'if (true || complete ||', test },
  {
    line: 'IPAM-10',
    file: 'src/ipam/claims.ts',
    from: 'left.port === right.port && left.protocol === right.protocol',
    to: 'left.port === right.port',
    test,
  },
  {
    line: 'IPAM-14',
    file: 'src/ipam/config-watch.ts',
    from: 'if (this.user.mayWrite()) await this.parts.createConfigMap();',
    to: '',
    test: 'test/unit/ipam/waiting.test.ts',
  },
  {
    line: 'IPAM-18',
    file: 'src/ipam/remarks.ts',
    from: 'this.say(key, told.notice);',
    to: '',
    test: 'test/unit/ipam/waiting.test.ts',
  },
  {
    line: 'IPAM-11',
    file: 'src/ipam/claims.ts',
    from: 'return !this.byAddress.has(address);',
    to: 'return (this.byAddress.get(address)?.length ?? 0) < 2;',
    test,
  },
];
