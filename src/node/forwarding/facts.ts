import { messageOf } from '../../lib/errors.ts';
import { assignMarks, endpointName } from './ipvs/desired.ts';
import type { BalancerFacts } from './choose.ts';
import type { ForwardingKernel } from './ports.ts';
import { TABLE } from './nftables/translation.ts';
import type { ForwardingMethod, VirtualServerSpec } from './types.ts';

/** Asks the kernel what `chooseBackend` has to know. */
export async function findFacts(
  { ipvs, nftables }: Pick<ForwardingKernel, 'ipvs' | 'nftables'>,
  claims: readonly Pick<VirtualServerSpec, 'vip' | 'port'>[],
  methods: readonly ForwardingMethod[],
): Promise<BalancerFacts> {
  const marks = new Set(assignMarks(claims).values());
  const names = new Set(claims.map(endpointName));
  const services = (await ipvs?.services()) ?? [];
  const foreign = services.filter(({ key }) =>
    'mark' in key ? !marks.has(key.mark) : !names.has(endpointName({ vip: key.address, port: key.port })),
  );
  return {
    ipvsMissing:
      ipvs === undefined
        ? 'this kernel has no IPVS: ensure IPVS kernel modules are loaded (ip_vs and ip_vs_rr)'
        : undefined,
    nftablesMissing: await problemOf(nftables),
    foreignServices: foreign.length,
    methods,
  };
}

async function problemOf(nftables: ForwardingKernel['nftables']): Promise<string | undefined> {
  try {
    if (nftables === undefined) return 'this kernel has no nf_tables: load the module nf_tables';
    await nftables.read(TABLE, []);
    return undefined;
  } catch (error) {
    return `nf_tables cannot be used: ${messageOf(error)}`;
  }
}
