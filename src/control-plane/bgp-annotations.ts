import { parseIp, type Ip } from '../lib/ip.ts';

/** What Node annotations say about BGP; it replaces the settings of the same meaning. */
export interface BgpAnnotations {
  readonly localAs: number;
  /** Router id and source address of all sessions. */
  readonly sourceIp: Ip;
  readonly peerAs: number;
  readonly peers: readonly Ip[];
  readonly password: string;
  readonly multiHop: boolean;
}

export type AnnotationsVerdict =
  | { readonly complete: true; readonly bgp: BgpAnnotations }
  /** Why not yet: the cloud's controller has not written everything, or not in a way that can be used. */
  | { readonly complete: false; readonly reason: string };

const largestAs = 4_294_967_295;
/** As in the settings: Linux takes no more. */
const MAX_PASSWORD_BYTES = 80;

/**
 * Reads the annotations that Equinix Metal's controller writes, under a prefix of the user's choice: each
 * key as `PREFIX/KEY` or `PREFIX/bgp-peers-0-KEY`; peers may be spread over several indexes.
 */
export function readBgpAnnotations(
  annotations: Readonly<Record<string, string>>,
  prefix: string,
): AnnotationsVerdict {
  const of = (key: string): string =>
    annotations[`${prefix}/${key}`] ?? annotations[`${prefix}/bgp-peers-0-${key}`] ?? '';
  const unusable = (key: string, problem: string): AnnotationsVerdict => {
    return { complete: false, reason: `annotation ${prefix}/${key} ${problem}` };
  };
  const sourceIp = parseIp(of('src-ip'));
  for (const key of ['node-asn', 'peer-asn', 'src-ip'])
    if (of(key) === '') return unusable(key, 'is missing');
  const localAs = asNumber(of('node-asn'));
  if (localAs === undefined) return unusable('node-asn', 'is no AS number');
  const peerAs = asNumber(of('peer-asn'));
  if (peerAs === undefined) return unusable('peer-asn', 'is no AS number');
  if (sourceIp === undefined || sourceIp.includes(':')) return unusable('src-ip', 'is no IPv4 address');
  const texts = peerTexts(annotations, prefix);
  if (texts.length === 0) return unusable('peer-ip', 'is missing');
  const peers = texts.map(parseIp);
  if (!peers.every((peer) => peer !== undefined)) return unusable('peer-ip', 'is no list of addresses');
  const password = fromBase64(of('bgp-pass'));
  if (password === undefined) return unusable('bgp-pass', 'is not base64');
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES)
    return unusable('bgp-pass', `has more than ${MAX_PASSWORD_BYTES} bytes`);
  const hops = of('peer-multi-hop');
  if (!['', 'true', 'false'].includes(hops)) return unusable('peer-multi-hop', 'is not true or false');
  return {
    complete: true,
    bgp: { localAs, sourceIp, peerAs, peers: [...new Set(peers)], password, multiHop: hops === 'true' },
  };
}

/** `PREFIX/peer-ip` and `PREFIX/bgp-peers-N-peer-ip` of any N, in the order of N; comma lists. */
function peerTexts(annotations: Readonly<Record<string, string>>, prefix: string): readonly string[] {
  const indexed = Object.entries(annotations).flatMap(([name, value]) => {
    if (name === `${prefix}/peer-ip`) return [{ index: -1, value }];
    const rest = name.startsWith(`${prefix}/`) ? name.slice(prefix.length + 1) : '';
    const index = /^bgp-peers-(\d+)-peer-ip$/.exec(rest)?.[1];
    return index === undefined ? [] : [{ index: Number(index), value }];
  });
  return indexed
    .toSorted((a, b) => a.index - b.index)
    .flatMap(({ value }) => value.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function asNumber(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= largestAs ? value : undefined;
}

function fromBase64(text: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return Buffer.from(text, 'base64').toString('utf8');
}
