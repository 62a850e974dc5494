import { familyOf, isLinkLocal, parseIp } from '../lib/ip.ts';
import { allPeers, type PeerSetting } from './peers.ts';
import type { Config, SettingName } from './settings.ts';

interface Finding {
  readonly setting: SettingName;
  readonly problem: string;
  readonly remedy: string;
}

/** Octets that the kernel takes as a TCP MD5 key (TCP_MD5SIG_MAXKEYLEN). */
const maxPasswordBytes = 80;

/** V14, and what a session could not be made with. Nothing is asked where BGP is off. */
export function bgpFindings(config: Config): readonly Finding[] {
  return config.enableBgp ? [...ownFindings(config), ...peerFindings(config)] : [];
}

function ownFindings(config: Config): readonly Finding[] {
  const findings: Finding[] = [];
  const find = (setting: SettingName, problem: string, remedy: string): void => {
    findings.push({ setting, problem, remedy });
  };
  if (config.bgpAs === 0) find('bgpAs', 'AS 0 is not usable', 'set bgp_as to your AS number');
  if (config.bgpSourceIf !== '' && config.bgpSourceIp !== '')
    find(
      'bgpSourceIp',
      'source address and source link are mutually exclusive',
      'leave one of bgp_sourceip and bgp_sourceif empty',
    );
  if (config.bgpRouterId !== '' && !isRouterId(config.bgpRouterId))
    find('bgpRouterId', 'invalid router-id format', 'write an IPv4 address, not 0.0.0.0');
  if (config.bgpSourceIp !== '' && parseIp(config.bgpSourceIp) === undefined)
    find('bgpSourceIp', 'not an IP address', 'write an address that this node has');
  const { bgpHoldTime: hold } = config;
  if (hold === 1 || hold === 2 || hold > 0xffff)
    find('bgpHoldTime', 'not a hold time that BGP knows', 'use 3 to 65535 seconds, or 0 for none');
  return findings;
}

function peerFindings(config: Config): readonly Finding[] {
  if (config.bgpPeerAddress !== '' && parseIp(config.bgpPeerAddress) === undefined)
    return [
      { setting: 'bgpPeerAddress', problem: 'not an IP address', remedy: 'write the address of the peer' },
    ];
  const peers = allPeers(config);
  if (config.annotations === '' && peers.length === 0)
    return [
      {
        setting: 'bgpPeers',
        problem: 'at least one peer is needed',
        remedy: 'set bgp_peers to address:AS, or bgp_peeraddress and bgp_peeras',
      },
    ];
  return peers.flatMap((peer, index) => peerFinding(config, peer, peers.slice(0, index)));
}

function peerFinding(config: Config, peer: PeerSetting, before: readonly PeerSetting[]): readonly Finding[] {
  // The single peer comes last.
  const isSingle = config.bgpPeerAddress !== '' && before.length === config.bgpPeers.length;
  const about = (setting: SettingName, problem: string, remedy: string): readonly Finding[] => [
    { setting: isSingle ? setting : 'bgpPeers', problem: `peer ${peer.address}: ${problem}`, remedy },
  ];
  if (peer.address !== '' && peer.as === 0)
    return about('bgpPeerAs', 'AS 0 is not usable', 'give the AS number of the peer');
  if (Buffer.byteLength(peer.password) > maxPasswordBytes)
    return about('bgpPeerPass', 'the password is too long', `use at most ${maxPasswordBytes} bytes`);
  if (peer.address !== '' && before.some(({ address }) => parseIp(address) === parseIp(peer.address)))
    return about('bgpPeerAddress', 'is named twice', 'name each peer once');
  const address = parseIp(peer.address);
  if (address !== undefined && isLinkLocal(address) && familyOf(address) === 6 && config.bgpSourceIf === '')
    return about('bgpPeerAddress', 'is link-local', 'name the link that it is on with bgp_sourceif');
  return [];
}

/** RFC 6286 2.1: any four octets that are not all zero. */
function isRouterId(text: string): boolean {
  const address = parseIp(text);
  return address !== undefined && familyOf(address) === 4 && address !== '0.0.0.0';
}
