import { type Prefix } from '../../lib/ip.ts';
import type { Clock, Random } from '../../lib/clock.ts';
import type { DecodeError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { ConnectTcp, OpenUdpPath } from '../../linux/types.ts';
import { Peer } from './peer.ts';
import type { PeerStatus, RoutesView, SpeakerOptions } from './types.ts';

export interface SpeakerParts {
  readonly connect: ConnectTcp;
  /** For BFD. */
  readonly openUdpPath: OpenUdpPath;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly linkIndex: (name: string) => number | undefined;
  /** A peer has sent what is no BGP message, or no BFD packet. */
  readonly onDecodeError?: (error: DecodeError) => void;
}

/** What the node's store needs of whoever advertises. */
export interface Advertiser {
  /** From now on this is what should be advertised. */
  follow(view: RoutesView): void;
  /** What is wanted of these prefixes may have changed; all peers have been told when this returns. */
  changed(prefixes: readonly Prefix[]): void;
  /** How many peers know this prefix, and how many there are. */
  reach(prefix: Prefix): { readonly peers: number; readonly knowing: number };
}

/** All BGP sessions of this node. It connects and never listens. */
export interface Speaker extends Advertiser {
  /** Begins to keep sessions with these peers. */
  start(options: SpeakerOptions): void;
  /** Withdraws everything from everybody and ends the sessions; takes a second at most. */
  stop(): Promise<void>;
  status(): readonly PeerStatus[];
}

export function createSpeaker(parts: SpeakerParts): Speaker {
  return new BgpSpeaker(parts);
}

class BgpSpeaker implements Speaker {
  private readonly parts: SpeakerParts;
  private view: RoutesView = { all: () => [], wants: () => false };
  private peers: readonly Peer[] = [];

  constructor(parts: SpeakerParts) {
    this.parts = parts;
  }

  follow(view: RoutesView): void {
    this.view = view;
  }

  start(options: SpeakerOptions): void {
    const { localAs, routerId, holdTime, keepaliveInterval, connectRetry, host } = options;
    const session = { localAs, routerId, holdTime, keepaliveInterval, connectRetry, host };
    // Asked anew each time: `follow` may come later.
    const view: RoutesView = { all: () => this.view.all(), wants: (prefix) => this.view.wants(prefix) };
    const log = this.parts.log.child('bgp');
    this.peers = options.peers.map((peer) => {
      const named = withPeer(log, peer.address);
      const { as: peerAs, families } = peer;
      return new Peer({ ...this.parts, log: named, view }, peer, { ...session, peerAs, families });
    });
    for (const peer of this.peers) peer.start();
  }

  changed(prefixes: readonly Prefix[]): void {
    if (prefixes.length > 0) for (const peer of this.peers) peer.changed(prefixes);
  }

  reach(prefix: Prefix): { readonly peers: number; readonly knowing: number } {
    const knowing = this.peers.filter((peer) => peer.knows(prefix)).length;
    return { peers: this.peers.length, knowing };
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map((peer) => peer.stop()));
  }

  status(): readonly PeerStatus[] {
    return this.peers.map((peer) => peer.status());
  }
}

/** A logger that names the peer in every line. */
function withPeer(log: Logger, peer: string): Logger {
  return {
    debug: (message, fields) => log.debug(message, { peer, ...fields }),
    info: (message, fields) => log.info(message, { peer, ...fields }),
    warn: (message, fields) => log.warn(message, { peer, ...fields }),
    error: (message, fields) => log.error(message, { peer, ...fields }),
    child: (component) => withPeer(log.child(component), peer),
  };
}
