import { parsePrefix, type Prefix } from '../lib/ip.ts';
import type { GuardedPort } from '../node/types.ts';
import { clip } from '../lib/text.ts';
import { annotation, type Service } from './types.ts';

/** Each is a rule, and the kernel takes a fifth of a second for so many. */
const maxRanges = 1024;
/** So many mistakes are told one by one. */
const maxTold = 8;

const protocols: Readonly<Record<string, GuardedPort['protocol']>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' };

/**
 * What may reach the VIPs of a Service where service security is on: its ports, from its source ranges.
 * Undefined: it wants no protection, or has no port that could be let in.
 */
export function guardedPorts(service: Service): readonly GuardedPort[] | undefined {
  if (service.metadata.annotations?.[annotation.ignoreSecurity] === 'true') return undefined;
  const { ranges } = sourceRanges(service);
  const ports = (service.spec?.ports ?? []).flatMap(({ port, protocol = 'TCP' }): GuardedPort[] => {
    const known = protocols[protocol];
    return known === undefined ? [] : [{ protocol: known, port, sources: ranges }];
  });
  return ports.length === 0 ? undefined : ports;
}

export interface SourceRanges {
  /** Undefined: everyone is let in. A range that does not parse lets nobody in. */
  readonly ranges: readonly Prefix[] | undefined;
  /** What is wrong, in words that name the field. */
  readonly invalid: readonly string[];
}

/** `spec.loadBalancerSourceRanges`, the first of them: who is only in those after is not let in. */
export function sourceRanges(service: Service): SourceRanges {
  const texts = service.spec?.loadBalancerSourceRanges ?? [];
  if (texts.length === 0) return { ranges: undefined, invalid: [] };
  const ranges: Prefix[] = [];
  const invalid: string[] = [];
  for (const text of texts.slice(0, maxRanges)) {
    const range = parsePrefix(text.trim());
    if (range === undefined) invalid.push(`${clip(text)} is no CIDR: nobody is let in by it`);
    else ranges.push(range);
  }
  const more = invalid.length - maxTold;
  const problems = [
    ...invalid.slice(0, maxTold),
    ...(more > 0 ? [`${more} more are no CIDR`] : []),
    ...(texts.length > maxRanges ? [`it has more than ${maxRanges} items; those after are left out`] : []),
  ];
  return { ranges, invalid: problems.map((problem) => `spec.loadBalancerSourceRanges: ${problem}`) };
}
