import type { Mac } from '../../lib/ip.ts';

/** ARPHRD_* numbers, which are also the hardware types of ARP: 1 Ethernet, 32 InfiniBand. */
export type HardwareType = 1 | 32;

/** How a link addresses its neighbours: what a frame for it has to know. */
export interface LinkAddressing {
  readonly hardwareType: HardwareType;
  /** 6 bytes on Ethernet, 20 on InfiniBand (queue pair number and port GID, RFC 4391 9.1.1). */
  readonly mac: Mac;
  /** All ones on Ethernet; on InfiniBand it carries the partition and scope of the link. */
  readonly broadcast: Mac;
}

export interface LinkHeader {
  readonly destination: Mac;
  /** Not part of an InfiniBand header. */
  readonly source: Mac | undefined;
  readonly etherType: number;
}
