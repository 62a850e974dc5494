import type { Mutant } from './mutant.ts';

const unit = 'test/unit/control-plane/named-vips.test.ts';
const cluster = 'test/cluster/control-plane/names.test.ts';
const namedVips = 'src/control-plane/named-vips.ts';

const dhcpClient = 'test/unit/control-plane/dhcp-client.test.ts';
const dhcpUnit = 'test/unit/protocols/dhcp.test.ts';

/** A name as control-plane VIP, from DNS and from DHCP, CP-140 to CP-149. */
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
  {
    line: 'CP-145',
    file: 'src/protocols/dhcp/codec.ts',
    from: 'if (message.clientId !== undefined) put(option.clientId, message.clientId);',
    to: '',
    test: dhcpUnit,
  },
  {
    line: 'CP-146',
    file: 'src/control-plane/dhcp-client.ts',
    from: "this.take({ kind: 'stop', release });",
    to: "this.take({ kind: 'stop', release: false });",
    test: dhcpClient,
  },
  {
    line: 'CP-147',
    file: 'src/protocols/dhcp/machine.ts',
    from: 'if (context.attempts !== 0 && attempt >= context.attempts)',
    to: 'if (context.attempts < 0)',
    test: dhcpUnit,
  },
  {
    line: 'CP-149',
    file: 'src/manager/control-plane-vips.ts',
    from: 'names: isOn && !config.ddns ? controlPlaneNames(config) : [],',
    to: 'names: isOn ? controlPlaneNames(config) : [],',
    test: 'test/cluster/control-plane/dhcp.test.ts',
  },
];
