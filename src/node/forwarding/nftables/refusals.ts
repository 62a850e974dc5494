import type { Ip } from '../../../lib/ip.ts';
import type { NftChain, NftElement, NftSet, NftTable } from '../../../linux/index.ts';
import { addressHex, endpointHex } from './data.ts';
import * as x from './expressions.ts';
import { canGoElsewhere, type Service } from './service.ts';

/*
 * A server that has died refuses connections until it is out of the rotation. While another one is known to answer no
 * client hears of it: it sends its SYN again, and gets another server.
 *
 * Translated, the refusal passes the holder on its way back, and connection tracking forgets the attempt with it. Then
 * it acknowledges nothing any more (`acknowledgeNothing`), so that the SYN comes again within milliseconds.
 *
 * With direct return it goes from the server to the client, and the flow memory leads the next SYN to the same server,
 * until that is out. So it is dropped where it is made, and the client waits a second. Who may drop it knows by the
 * stamp of the SYN, which the refusal has as well: a server does not know whether others answer.
 */
const KNOCK_AGAIN = 'knock_again';
const KEEP_QUIET = 'keep_quiet';
/** NF_IP_PRI_MANGLE: after connection tracking, before a translation is undone. */
const PRIORITY = -150;
/** One for each server of each VIP. */
const MAX_REFUSALS = 65_536;

/** The VIP's address . port . server that may refuse ─► what becomes of its refusal. None when all may be dead. */
export function refusalSet(l3: x.L3, services: readonly Service[]): NftSet {
  return {
    name: 'refused',
    keyType: [x.typeOf(l3), 'inet_service', x.typeOf(l3)],
    dataType: 'verdict',
    size: MAX_REFUSALS,
    elements: services.flatMap(refusalsOf),
  };
}

function refusalsOf(service: Service): readonly NftElement[] {
  const { vip, port, servers, direct } = service;
  const may = servers.filter((server) => canGoElsewhere(service, server));
  const refusal = (address: Ip, goto: string): NftElement => ({
    key: `${endpointHex(vip, port)}${addressHex(address)}`,
    data: { verdict: { goto } },
  });
  // The server on this node gets direct packets as they are, and answers as the VIP.
  const own = direct?.servers.find(({ via }) => via === 'this node')?.server;
  return [
    ...may.map(({ address }) => refusal(address, KNOCK_AGAIN)),
    ...(own !== undefined && canGoElsewhere(service, own) ? [refusal(vip, KEEP_QUIET)] : []),
  ];
}

/**
 * As refusals arrive, or leave the server on this node. One that a rule of somebody else makes here (`reject`) is only
 * related to the connection, and is meant.
 */
export function refusalChains(l3: x.L3): readonly NftChain[] {
  const refusal = x.rule(
    'a server refuses a new connection',
    x.isTcp,
    x.isRefusal,
    x.isKnown,
    x.originalDestination(l3),
    x.sourceAddress(l3, x.wordsOf(l3) + 1),
    [{ op: 'lookup', set: 'refused', key: 0, to: 'verdict' }],
  );
  const counter = { op: 'counter' } as const;
  return [
    {
      name: KNOCK_AGAIN,
      rules: [x.rule('the client knocks again', x.isTcp, [counter], x.acknowledgeNothing)],
    },
    { name: KEEP_QUIET, rules: [x.rule('the client knocks again', [counter], x.verdict('drop'))] },
    filter('refusals', 'prerouting', [refusal]),
    filter('own_refusals', 'output', [refusal]),
  ];
}

/**
 * For a node that answers clients of these VIPs directly, by itself: its own refusals of stamped SYNs, and such SYNs
 * while the VIPs are not on `lo` because nobody listens, which would go back to the holder and around.
 */
export function roleTable(l3: x.L3, name: string, vips: readonly Ip[]): NftTable | undefined {
  if (vips.length === 0) return undefined;
  const isVip = { op: 'lookup', set: 'vips', key: 0 } as const;
  const quietly = [{ op: 'counter' } as const, ...x.verdict('drop')];
  return {
    family: l3,
    name,
    sets: [
      {
        name: 'vips',
        keyType: x.typeOf(l3),
        size: MAX_REFUSALS,
        elements: vips.map((vip) => ({ key: addressHex(vip) })),
      },
    ],
    chains: [
      filter('refusals', 'output', [
        x.rule(
          'others serve',
          x.isTcp,
          x.isRefusal,
          x.hasStamp(l3),
          x.sourceAddress(l3, 0),
          [isVip],
          quietly,
        ),
      ]),
      filter('strays', 'forward', [
        x.rule(
          'nobody listens',
          x.isTcp,
          x.isSyn,
          x.hasStamp(l3),
          x.destinationAddress(l3, 0),
          [isVip],
          quietly,
        ),
      ]),
    ],
  };
}

function filter(name: string, hook: 'prerouting' | 'output' | 'forward', rules: NftChain['rules']): NftChain {
  return { name, base: { type: 'filter', hook, priority: PRIORITY }, rules };
}
