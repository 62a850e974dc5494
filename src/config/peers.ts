import { boolCodec, failed, splitList, type Codec, type Parsed, type TextOrigin } from './codecs.ts';
import { parseGoInt } from './go-syntax.ts';
import { parseIp } from '../lib/ip.ts';

/** A BGP peer as the user wrote it. Exactly one of `address` and `interface` is not empty. */
export interface PeerSetting {
  readonly address: string;
  /** Link on which the one link-local neighbour is the peer ("unnumbered"). */
  readonly interface: string;
  readonly as: number;
  readonly password: string;
  readonly multiHop: boolean;
  readonly port: number;
  readonly mpbgpNexthop: string;
  readonly mpbgpIpv4: string;
  readonly mpbgpIpv6: string;
  readonly bfd: {
    readonly enabled: boolean;
    readonly rxMs: number;
    readonly txMs: number;
    readonly multiplier: number;
  };
}

const bgpPort = 179;
const grammar = 'write address:AS[:password[:multihop[:port[:mpbgp[:bfd]]]]], IPv6 addresses in brackets';

/** The list of peers: comma list in the peer grammar, or in a file a list of strings or of objects. */
export const peersCodec: Codec<readonly PeerSetting[]> = {
  type: 'peers',
  parse: (text) => collect(splitList(text), parsePeer),
  fromFile(value) {
    if (!Array.isArray(value)) return undefined;
    const items: readonly unknown[] = value;
    return collect(items, (item) => (typeof item === 'string' ? parsePeer(item) : peerFromObject(item)));
  },
  join: (values) => values.flat(),
  format: (peers) => peers.map(formatPeer).join(','),
};

function collect<T>(
  items: readonly T[],
  parse: (item: T) => Parsed<PeerSetting>,
): Parsed<readonly PeerSetting[]> {
  const peers: PeerSetting[] = [];
  for (const [index, item] of items.entries()) {
    const parsed = parse(item);
    if ('problem' in parsed) return failed(`peer ${index + 1}: ${parsed.problem}`, parsed.remedy);
    peers.push(parsed.value);
  }
  return { value: peers };
}

/** One peer in the grammar above. A problem never repeats the text, which may hold a password. */
export function parsePeer(text: string): Parsed<PeerSetting> {
  const fields = splitOutsideBrackets(text);
  if (fields === undefined) return failed('brackets do not match', grammar);
  const unnumbered = fields[0] === 'unnumbered';
  const [where = '', as = '', password = '', multiHop = '', port = '', mpbgp = '', bfd = ''] = unnumbered
    ? fields.slice(1)
    : fields;
  return buildPeer({
    origin: 'env',
    address: unnumbered ? '' : where.replace(/^\[(.*)\]$/, '$1'),
    bracketed: where.startsWith('['),
    interface: unnumbered ? where : '',
    as,
    password,
    multiHop,
    port,
    ...mpbgpFields(mpbgp),
    ...bfdFields(bfd),
  });
}

/** Colons inside brackets belong to an IPv6 address; undefined when a bracket stays open. */
function splitOutsideBrackets(text: string): readonly string[] | undefined {
  const fields = text.match(/(?:\[[^[\]]*\]|[^:[\]])*(?::|$)/g) ?? [];
  if (fields.join('') !== text) return undefined;
  // The pattern matches once more, empty, at the end of a text that does not end with a colon.
  const parts = fields.map((field) => field.replace(/:$/, ''));
  if (!text.endsWith(':')) parts.pop();
  return parts;
}

interface RawPeer {
  readonly origin: TextOrigin;
  readonly address: string;
  readonly bracketed?: boolean;
  readonly interface: string;
  readonly as: string;
  readonly password: string;
  readonly multiHop: string;
  readonly port: string;
  readonly mpbgpNexthop: string;
  readonly mpbgpIpv4: string;
  readonly mpbgpIpv6: string;
  readonly bfdEnabled: string;
  readonly bfdRx: string;
  readonly bfdTx: string;
  readonly bfdMultiplier: string;
  readonly problem?: string;
}

type MpbgpFields = Pick<RawPeer, 'mpbgpNexthop' | 'mpbgpIpv4' | 'mpbgpIpv6' | 'problem'>;

function mpbgpFields(text: string): MpbgpFields {
  const names = { mpbgp_nexthop: 'mpbgpNexthop', mpbgp_ipv4: 'mpbgpIpv4', mpbgp_ipv6: 'mpbgpIpv6' } as const;
  const fields: { -readonly [K in keyof MpbgpFields]: MpbgpFields[K] } = {
    mpbgpNexthop: '',
    mpbgpIpv4: '',
    mpbgpIpv6: '',
  };
  for (const item of text.split(';').filter((part) => part !== '')) {
    const [key = '', value] = item.split('=', 2);
    const name = Object.entries(names).find(([known]) => known === key)?.[1];
    if (value === undefined || name === undefined) {
      fields.problem = 'the mpbgp field has a part that is not mpbgp_nexthop=, mpbgp_ipv4= or mpbgp_ipv6=';
      break;
    }
    fields[name] = value.replace(/^\[(.*)\]$/, '$1');
  }
  return fields;
}

type BfdFields = Pick<RawPeer, 'bfdEnabled' | 'bfdRx' | 'bfdTx' | 'bfdMultiplier'>;

function bfdFields(text: string): BfdFields {
  if (text === '') return { bfdEnabled: '', bfdRx: '', bfdTx: '', bfdMultiplier: '' };
  const [bfdEnabled = '', bfdRx = '-', bfdTx = '-', bfdMultiplier = '-'] = text.split(';');
  return { bfdEnabled: bfdEnabled === '' ? '-' : bfdEnabled, bfdRx, bfdTx, bfdMultiplier };
}

function buildPeer(raw: RawPeer): Parsed<PeerSetting> {
  if (raw.problem !== undefined) return failed(raw.problem, grammar);
  if ((raw.address === '') === (raw.interface === ''))
    return failed('needs an address, or unnumbered:<link>', grammar);
  if (raw.address !== '') {
    const address = parseIp(raw.address);
    if (address === undefined) return failed('has no valid address', grammar);
    if (raw.bracketed !== undefined && raw.bracketed !== address.includes(':'))
      return failed('has brackets around an address that is not IPv6', grammar);
  }
  const number = (text: string, fallback: number, max: number): number => {
    const value = text === '' ? fallback : parseGoInt(text, 10);
    return value >= 0 && value <= max ? value : Number.NaN;
  };
  const flag = (text: string): boolean | undefined => {
    if (text === '') return false;
    const parsed = boolCodec.parse(text, raw.origin);
    return 'problem' in parsed ? undefined : parsed.value;
  };
  const as = number(raw.as, raw.interface === '' ? Number.NaN : 0, 4_294_967_295);
  if (Number.isNaN(as)) return failed('has no valid AS number', grammar);
  const port = number(raw.port, bgpPort, 65_535);
  if (Number.isNaN(port)) return failed('has no valid port', grammar);
  const multiHop = flag(raw.multiHop);
  if (multiHop === undefined) return failed('has a multihop field that is not true or false', grammar);
  const enabled = flag(raw.bfdEnabled);
  const rxMs = number(raw.bfdRx, 300, 4_294_967_295);
  const txMs = number(raw.bfdTx, 300, 4_294_967_295);
  const multiplier = number(raw.bfdMultiplier, 3, 255);
  if (enabled === undefined || Number.isNaN(rxMs + txMs + multiplier))
    return failed('has a bfd field that is not enabled;rx_ms;tx_ms;multiplier', grammar);
  const { address, interface: link, password, mpbgpNexthop, mpbgpIpv4, mpbgpIpv6 } = raw;
  const bfd = { enabled, rxMs, txMs, multiplier };
  // Nobody can listen on 0; kube-vip connects to 179 whatever is said.
  const common = {
    as,
    password,
    multiHop,
    port: port === 0 ? bgpPort : port,
    mpbgpNexthop,
    mpbgpIpv4,
    mpbgpIpv6,
    bfd,
  };
  return { value: { address, interface: link, ...common } };
}

/** A peer object of a config file; keys without regard to case. */
function peerFromObject(value: unknown): Parsed<PeerSetting> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return failed('not an object and not a string', grammar);
  const fields = new Map(Object.entries(value).map(([key, field]) => [key.toLowerCase(), scalarText(field)]));
  const field = (key: string): string => fields.get(key) ?? '';
  return buildPeer({
    origin: 'file',
    address: field('address'),
    interface: field('interface'),
    as: field('as'),
    password: field('password'),
    multiHop: field('multihop'),
    port: field('port'),
    mpbgpNexthop: field('mpbgpnexthop'),
    mpbgpIpv4: field('mpbgpipv4'),
    mpbgpIpv6: field('mpbgpipv6'),
    bfdEnabled: field('bfdenabled'),
    bfdRx: field('bfdreceiveinterval'),
    bfdTx: field('bfdtransmitinterval'),
    bfdMultiplier: field('bfddetectmultiplier'),
  });
}

function scalarText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

function formatPeer(peer: PeerSetting): string {
  return peerText(peer.password === '' ? peer : { ...peer, password: '***' });
}

/** A peer in the grammar, password included; trailing fields that say nothing are left out. */
export function peerText(peer: PeerSetting): string {
  const { bfd } = peer;
  const mpbgp = [
    ['mpbgp_nexthop', peer.mpbgpNexthop],
    ['mpbgp_ipv4', peer.mpbgpIpv4],
    ['mpbgp_ipv6', bracket(peer.mpbgpIpv6)],
  ].filter(([, value]) => value !== '');
  const fields = [
    peer.address === '' ? `unnumbered:${peer.interface}` : bracket(peer.address),
    String(peer.as),
    peer.password,
    String(peer.multiHop),
    peer.port === bgpPort ? '' : String(peer.port),
    mpbgp.map((pair) => pair.join('=')).join(';'),
    bfd.enabled ? `true;${bfd.rxMs};${bfd.txMs};${bfd.multiplier}` : '',
  ];
  return fields.join(':').replace(/:+$/, '');
}

function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** The fields that describe the one peer of `bgp_peeraddress` and its companions. */
export interface SinglePeer {
  readonly bgpPeers: readonly PeerSetting[];
  readonly bgpPeerAddress: string;
  readonly bgpPeerAs: number;
  readonly bgpPeerPass: string;
  readonly bgpMultihop: boolean;
}

/** All peers a configuration names, however it names them. The single peer comes last. */
export function allPeers(config: SinglePeer): readonly PeerSetting[] {
  if (config.bgpPeerAddress === '') return config.bgpPeers;
  const single: PeerSetting = {
    address: config.bgpPeerAddress,
    interface: '',
    as: config.bgpPeerAs,
    password: config.bgpPeerPass,
    multiHop: config.bgpMultihop,
    port: bgpPort,
    mpbgpNexthop: '',
    mpbgpIpv4: '',
    mpbgpIpv6: '',
    bfd: { enabled: false, rxMs: 300, txMs: 300, multiplier: 3 },
  };
  return [...config.bgpPeers, single];
}
