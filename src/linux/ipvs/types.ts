import type { Ip } from '../../lib/ip.ts';
import type { ConnectionEnd, ConnectionState } from '../conntrack/types.ts';

/** What names a virtual service: an address and TCP port, or a firewall mark of one family. */
export type IpvsServiceKey =
  { readonly address: Ip; readonly port: number } | { readonly mark: number; readonly family: 4 | 6 };

export interface IpvsService {
  readonly key: IpvsServiceKey;
  readonly scheduler: string;
}

/** How packets get to a destination: IP_VS_CONN_F_* of linux/ip_vs.h. */
export type IpvsForwarding = 'masquerade' | 'local' | 'tunnel' | 'directroute' | 'bypass';

export interface IpvsDestination {
  readonly address: Ip;
  readonly port: number;
  readonly forwarding: IpvsForwarding;
  /** 0: no new connections. */
  readonly weight: number;
}

export interface IpvsConnection {
  readonly client: ConnectionEnd;
  readonly service: ConnectionEnd;
  readonly server: ConnectionEnd;
  readonly state: ConnectionState;
}

/** The IP Virtual Server of one network namespace. It sends no events: whoever relies on it looks again. */
export interface Ipvs {
  services(): Promise<readonly IpvsService[]>;
  /** One service, at once; undefined when it is not there. */
  service(key: IpvsServiceKey): IpvsService | undefined;
  destinations(key: IpvsServiceKey): Promise<readonly IpvsDestination[]>;
  addService(service: IpvsService): void;
  changeService(service: IpvsService): void;
  removeService(key: IpvsServiceKey): void;
  addDestination(key: IpvsServiceKey, destination: IpvsDestination): void;
  changeDestination(key: IpvsServiceKey, destination: IpvsDestination): void;
  removeDestination(key: IpvsServiceKey, destination: Pick<IpvsDestination, 'address' | 'port'>): void;
  /** The connections it holds, bounded. */
  connections(): readonly IpvsConnection[];
  close(): void;
}
