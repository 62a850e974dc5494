import type { NftChain, NftRule, NftSet, NftTable } from '../../../linux/index.ts';
import type { VirtualServerSpec } from '../types.ts';
import { addressHex, endpointHex, hostU32 } from './data.ts';
import * as x from './expressions.ts';
import { refusalChains, refusalSet } from './refusals.ts';
import { translated, type Service } from './service.ts';
import {
  balanceRule,
  DNAT_PRIORITY,
  gotoService,
  MAX_ELEMENTS,
  serviceChain,
  SNAT_PRIORITY,
  TABLE,
  translatedSlots,
  turnSet,
} from './translation.ts';

/** NF_IP_PRI_MANGLE: before the routing decision, and so before IPVS. */
const MANGLE_PRIORITY = -150;

export interface MarkedServer {
  readonly spec: VirtualServerSpec;
  readonly mark: number;
}

/**
 * What IPVS cannot do alone.
 *
 * For `masquerade`: a mark for each VIP, by which IPVS finds the service, and the VIP as the source of
 * what it sends to a real server, so that replies come back here; and refusals.ts: IPVS gives a connection that was
 * refused another real server when its client knocks again.
 *
 * For `directroute` and `tunnel`: clients on this node itself. Their source is the VIP, which a real
 * server takes for its own address and drops; so they are translated before IPVS sees them.
 */
export function tableBesideIpvs(
  l3: x.L3,
  marked: readonly MarkedServer[],
  untranslated: readonly VirtualServerSpec[],
): NftTable | undefined {
  const masqueraded = marked
    .map(({ spec, mark }) => ({ service: translated(spec), mark }))
    .filter(({ service }) => service.l3 === l3);
  const local = untranslated.map(translated).filter((service) => service.l3 === l3);
  if (masqueraded.length === 0 && local.length === 0) return undefined;
  return {
    family: l3,
    name: TABLE,
    sets: [
      ...(masqueraded.length > 0 ? markSets(l3, masqueraded) : []),
      ...(local.length > 0 ? localSets(l3, local) : []),
    ],
    chains: [
      ...(masqueraded.length > 0 ? markChains(l3) : []),
      ...(local.length > 0 ? localChains(l3, local) : []),
      {
        name: 'postrouting',
        base: { type: 'nat', hook: 'postrouting', priority: SNAT_PRIORITY },
        rules: [
          ...(masqueraded.length > 0 ? [returnToVip(l3)] : []),
          ...(local.length > 0 ? [returnToNode(l3)] : []),
        ],
      },
    ],
  };
}

type Marked = readonly { readonly service: Service; readonly mark: number }[];

function endpoints(l3: x.L3, name: string): Pick<NftSet, 'name' | 'keyType' | 'size'> {
  return { name, keyType: [x.typeOf(l3), 'inet_service'], size: MAX_ELEMENTS };
}

function markSets(l3: x.L3, marked: Marked): readonly NftSet[] {
  return [
    {
      ...endpoints(l3, 'marks'),
      dataType: 'mark',
      elements: marked.map(({ service: { vip, port }, mark }) => ({
        key: endpointHex(vip, port),
        data: hostU32(mark),
      })),
    },
    {
      ...endpoints(l3, 'sources'),
      dataType: x.typeOf(l3),
      elements: marked.map(({ service: { vip, port } }) => ({
        key: endpointHex(vip, port),
        data: addressHex(vip),
      })),
    },
    refusalSet(
      l3,
      marked.map(({ service }) => service),
    ),
  ];
}

function markChains(l3: x.L3): readonly NftChain[] {
  const mark = x.rule('connections to a VIP', x.isTcp, x.destination(l3), [
    { op: 'lookup', set: 'marks', key: 0, to: 0 },
    { op: 'meta set', key: 'mark', from: 0 },
  ]);
  const marking = (['prerouting', 'output'] as const).map((hook): NftChain => ({
    name: hook,
    base: { type: 'filter', hook, priority: MANGLE_PRIORITY },
    rules: [mark],
  }));
  return [...marking, ...refusalChains(l3)];
}

/** IPVS does not say that it translates (`ct status`): its connections are known by their first destination. */
function returnToVip(l3: x.L3): NftRule {
  return x.rule('replies must come back here', x.leavesTheHost, x.isTcp, x.originalDestination(l3), [
    { op: 'lookup', set: 'sources', key: 0, to: 0 },
    { op: 'snat', family: l3, address: 0 },
  ]);
}

function localSets(l3: x.L3, services: readonly Service[]): readonly NftSet[] {
  return [
    {
      ...endpoints(l3, 'services'),
      dataType: 'verdict',
      elements: services.filter((service) => translatedSlots(service).length > 0).map(gotoService),
    },
    {
      ...endpoints(l3, 'vips'),
      elements: services.map(({ vip, port }) => ({ key: endpointHex(vip, port) })),
    },
    ...services.filter((service) => translatedSlots(service).length > 0).map(turnSet),
  ];
}

function localChains(l3: x.L3, services: readonly Service[]): readonly NftChain[] {
  return [
    {
      name: 'local_clients',
      base: { type: 'nat', hook: 'output', priority: DNAT_PRIORITY },
      rules: [balanceRule(l3)],
    },
    ...services.filter((service) => translatedSlots(service).length > 0).map(serviceChain),
  ];
}

function returnToNode(l3: x.L3): NftRule {
  return x.rule('clients on this node', x.leavesTheHost, x.isTranslated, x.isTcp, x.originalDestination(l3), [
    { op: 'lookup', set: 'vips', key: 0 },
    { op: 'masquerade' },
  ]);
}
