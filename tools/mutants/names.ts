import type { Mutant } from './mutant.ts';

const unit = 'test/unit/control-plane/named-vips.test.ts';
const cluster = 'test/cluster/control-plane/names.test.ts';
const namedVips = 'src/control-plane/named-vips.ts';

/** A name as control-plane VIP, CP-140 to CP-144. */
export const nameMutants: readonly Mutant[] = [
  {
    line: 'CP-140',
    file: 'src/control-plane/specs.ts',
    from: 'validLifetime: isNamed ? NAMED_LIFETIME_S : undefined,',
    to: 'validLifetime: undefined,',
    test: unit,
  },
  {
    line: 'CP-141',
    file: namedVips,
    from: 'for (const vip of had) if (!now.includes(vip)) this.linger(vip);',
    to: '',
    test: unit,
  },
  {
    line: 'CP-142',
    file: namedVips,
    from: 'if (had.length === 0) this.picked.set(name, { problem: found });',
    to: 'if (had.length >= 0) this.picked.set(name, { problem: found });',
    test: unit,
  },
  {
    line: 'CP-143',
    file: 'src/manager/control-plane-vips.ts',
    from: 'if (missing === undefined) return;',
    to: 'if (missing?.name !== undefined) return;',
    test: cluster,
  },
  {
    line: 'CP-144',
    file: 'src/lib/names.ts',
    from: "const family = families === 'ipv4' ? 4 : 6;",
    to: 'const family = 4;',
    test: unit,
  },
];
