import { parsePrefix, type Prefix } from '../lib/ip.ts';
import type { GuardedPort } from '../node/types.ts';
import { annotation, type Service } from './types.ts';

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
  readonly invalid: readonly string[];
}

/** `spec.loadBalancerSourceRanges`. */
export function sourceRanges(service: Service): SourceRanges {
  const texts = service.spec?.loadBalancerSourceRanges ?? [];
  if (texts.length === 0) return { ranges: undefined, invalid: [] };
  const ranges: Prefix[] = [];
  const invalid: string[] = [];
  for (const text of texts) {
    const range = parsePrefix(text.trim());
    if (range === undefined) invalid.push(text);
    else ranges.push(range);
  }
  return { ranges, invalid };
}
