import type { NftChain, NftTable } from '../../../linux/index.ts';
import type { VirtualServerSpec } from '../types.ts';
import { addressHex, endpointHex, hostU32 } from './data.ts';
import * as x from './expressions.ts';
import { l3Of } from './service.ts';
import { MAX_ELEMENTS, SNAT_PRIORITY, TABLE } from './translation.ts';

/** NF_IP_PRI_MANGLE: before the routing decision, and so before IPVS. */
const MANGLE_PRIORITY = -150;

/**
 * What IPVS cannot do alone for `masquerade`: a mark for each VIP, by which it finds the service, and the VIP as the
 * source of what it sends to a real server, so that replies come back here.
 */
export function markingTable(
  l3: x.L3,
  all: readonly { readonly spec: VirtualServerSpec; readonly mark: number }[],
): NftTable | undefined {
  const services = all.filter(({ spec }) => l3Of(spec.vip) === l3);
  if (services.length === 0) return undefined;
  const keyType = [x.typeOf(l3), 'inet_service'] as const;
  const mark = x.rule('connections to a VIP', x.isTcp, x.destination(l3), [
    { op: 'lookup', set: 'marks', key: 0, to: 0 },
    { op: 'meta set', key: 'mark', from: 0 },
  ]);
  const base = (hook: 'prerouting' | 'output'): NftChain => ({
    name: hook,
    base: { type: 'filter', hook, priority: MANGLE_PRIORITY },
    rules: [mark],
  });
  return {
    family: l3,
    name: TABLE,
    sets: [
      {
        name: 'marks',
        keyType,
        dataType: 'mark',
        size: MAX_ELEMENTS,
        elements: services.map(({ spec, mark: value }) => ({
          key: endpointHex(spec.vip, spec.port),
          data: hostU32(value),
        })),
      },
      {
        name: 'sources',
        keyType,
        dataType: x.typeOf(l3),
        size: MAX_ELEMENTS,
        elements: services.map(({ spec }) => ({
          key: endpointHex(spec.vip, spec.port),
          data: addressHex(spec.vip),
        })),
      },
    ],
    chains: [
      base('prerouting'),
      base('output'),
      {
        name: 'postrouting',
        base: { type: 'nat', hook: 'postrouting', priority: SNAT_PRIORITY },
        rules: [
          x.rule('replies must come back here', x.leavesTheHost, x.originalDestination(l3), [
            { op: 'lookup', set: 'sources', key: 0, to: 0 },
            { op: 'snat', family: l3, address: 0 },
          ]),
        ],
      },
    ],
  };
}
