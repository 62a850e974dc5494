import { messageOf } from '../../lib/errors.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { Ipvs } from '../../linux/index.ts';
import { assignMarks, endpointName, TRIAL_MARK } from './ipvs/desired.ts';
import type { BalancerFacts } from './choose.ts';
import type { ForwardingKernel } from './ports.ts';
import { TABLE } from './nftables/translation.ts';
import type { ForwardingMethod, Scheduler, VirtualServerSpec } from './types.ts';

/** Asks the kernel what `chooseBackend` has to know. */
export async function findFacts(
  { ipvs, nftables }: Pick<ForwardingKernel, 'ipvs' | 'nftables'>,
  claims: readonly Pick<VirtualServerSpec, 'vip' | 'port'>[],
  methods: readonly ForwardingMethod[],
  scheduler: Scheduler,
): Promise<BalancerFacts> {
  const marks = new Set(assignMarks(claims).values());
  const names = new Set(claims.map(endpointName));
  const services = (await ipvs?.services()) ?? [];
  const foreign = services.filter(({ key }) =>
    'mark' in key
      ? key.mark !== TRIAL_MARK && !marks.has(key.mark)
      : !names.has(endpointName({ vip: key.address, port: key.port })),
  );
  return {
    ipvsMissing: problemOfIpvs(ipvs, scheduler),
    nftablesMissing: await problemOfNftables(nftables),
    foreignServices: foreign.length,
    methods,
  };
}

/** Each scheduler is a module of its own, which the kernel loads for the first service that wants it. */
function problemOfIpvs(ipvs: Ipvs | undefined, scheduler: Scheduler): string | undefined {
  if (ipvs === undefined) {
    return `this kernel has no IPVS: ensure IPVS kernel modules are loaded (ip_vs and ip_vs_${scheduler})`;
  }
  const key = { mark: TRIAL_MARK, family: 4 } as const;
  try {
    ipvs.addService({ key, scheduler });
    ipvs.removeService(key);
    return undefined;
  } catch (error) {
    // A trial of somebody who was killed in the middle of it.
    if (!isKernelError(error, 'already')) return messageOf(error);
    ipvs.removeService(key);
    return problemOfIpvs(ipvs, scheduler);
  }
}

async function problemOfNftables(nftables: ForwardingKernel['nftables']): Promise<string | undefined> {
  try {
    if (nftables === undefined) return 'this kernel has no nf_tables: load the module nf_tables';
    await nftables.read(TABLE, []);
    return undefined;
  } catch (error) {
    return `nf_tables cannot be used: ${messageOf(error)}`;
  }
}
