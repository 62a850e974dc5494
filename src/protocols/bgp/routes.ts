import { ByteWriter } from '../../lib/bytes.ts';
import type { Family, Ip, Prefix } from '../../lib/ip.ts';
import type { Negotiated } from './open.ts';
import type { BgpMessage, PathAttribute, Update } from './types.ts';
import { encodeUpdate, packUpdates } from './update.ts';

/** What the attributes of our routes depend on. */
export interface RouteContext {
  readonly localAs: number;
  readonly negotiated: Negotiated;
}

/** RFC 4271 5.1.5; what kube-vip and most routers send. */
const LOCAL_PREFERENCE = 100;
const AS4_PATH = 17;
const OPTIONAL_TRANSITIVE = 0xc0;

/**
 * UPDATEs for our own routes of one family, all with this next hop. The origin is always IGP: routers merge
 * paths from several nodes into one multipath route only when their attributes are equal.
 */
export function advertiseRoutes(
  context: RouteContext,
  family: Family,
  prefixes: readonly Prefix[],
  nextHop: Ip,
): readonly BgpMessage[] {
  const { asOctets } = context.negotiated;
  const path = pathAttributes(context);
  return packUpdates(prefixes, (nlri): Update => {
    const [origin, asPath, ...rest] = path;
    return family === 4
      ? { withdrawn: [], attributes: [origin, asPath, { kind: 'next-hop', nextHop }, ...rest], nlri }
      : {
          withdrawn: [],
          attributes: [...path, { kind: 'mp-reach', family, nextHops: [nextHop], nlri }],
          nlri: [],
        };
  }).map((update) => ({ type: 'update', body: encodeUpdate(update, asOctets) }));
}

/** UPDATEs that take these prefixes of one family back, as few as their size allows. */
export function withdrawRoutes(
  context: RouteContext,
  family: Family,
  prefixes: readonly Prefix[],
): readonly BgpMessage[] {
  const { asOctets } = context.negotiated;
  return packUpdates(prefixes, (withdrawn): Update => {
    return family === 4
      ? { withdrawn, attributes: [], nlri: [] }
      : { withdrawn: [], attributes: [{ kind: 'mp-unreach', family, withdrawn }], nlri: [] };
  }).map((update) => ({ type: 'update', body: encodeUpdate(update, asOctets) }));
}

/** RFC 4271 5.1: our AS in the path and no preference to other ASes; inside our own the other way round. */
function pathAttributes({
  localAs,
  negotiated,
}: RouteContext): readonly [PathAttribute, PathAttribute, ...(readonly PathAttribute[])] {
  const origin: PathAttribute = { kind: 'origin', origin: 'igp' };
  if (negotiated.peerAs === localAs)
    return [origin, { kind: 'as-path', segments: [] }, { kind: 'local-pref', preference: LOCAL_PREFERENCE }];
  const asPath: PathAttribute = { kind: 'as-path', segments: [{ kind: 'sequence', ases: [localAs] }] };
  const isHidden = negotiated.asOctets === 2 && localAs > 0xffff;
  return isHidden ? [origin, asPath, as4Path(localAs)] : [origin, asPath];
}

/** RFC 6793 4.2.2: a peer that knows narrow AS numbers only hands the wide one on unread. */
function as4Path(localAs: number): PathAttribute {
  const value = new ByteWriter().u8(2).u8(1).u32(localAs).done();
  return { kind: 'unknown', flags: OPTIONAL_TRANSITIVE, code: AS4_PATH, value };
}
