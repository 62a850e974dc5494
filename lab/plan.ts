import { ip } from '../src/lib/ip.ts';
import type { Ip, Mac } from '../src/lib/ip.ts';

export type Role = 'router' | 'client' | 'remote' | 'api' | 'control-plane' | 'worker';

/** Where one machine of a lab sits. */
export interface Seat {
  readonly name: string;
  readonly role: Role;
  readonly namespace: string;
  readonly ipv4: Ip;
  readonly ipv6: Ip;
  readonly mac: Mac;
}

/** All names and addresses of a lab; a pure function of its options, so tests can rely on them. */
export interface Plan {
  readonly switchNamespace: string;
  readonly router: Seat;
  readonly client: Seat;
  readonly remote: Seat | undefined;
  readonly api: Seat;
  readonly controlPlanes: readonly Seat[];
  readonly workers: readonly Seat[];
  /** The router's address on the remote side. */
  readonly remoteGateway: { readonly ipv4: Ip; readonly ipv6: Ip };
  /** The n-th address that is free for a VIP, n from 0 to 99. */
  vip(n: number): Ip;
  vip6(n: number): Ip;
}

export interface PlanOptions {
  readonly id: string;
  /** 0-99: 10.N.0.0/24 and fd00:N::/64. Labs never see one another, so two may use the same. */
  readonly subnet: number;
  readonly controlPlanes: number;
  readonly workers: number;
  readonly remote: boolean;
}

const firstVip = 100;

export function planLab(options: PlanOptions): Plan {
  const { id, subnet } = options;
  const seat = (name: string, role: Role, host: number, network = 0): Seat => ({
    name,
    role,
    namespace: `${id}-${name}`,
    ipv4: ip(`10.${subnet}.${network}.${host}`),
    ipv6: ip(`fd00:${subnet}${network === 0 ? '' : `:${network}`}::${host}`),
    mac: `02:6b:76:00:${network.toString(16).padStart(2, '0')}:${host.toString(16).padStart(2, '0')}` as Mac,
  });
  const numbered = (count: number, prefix: string, role: Role, base: number): readonly Seat[] =>
    Array.from({ length: count }, (_, i) => seat(`${prefix}${i + 1}`, role, base + i + 1));
  return {
    switchNamespace: `${id}-sw`,
    router: seat('router', 'router', 1),
    client: seat('client', 'client', 2),
    api: seat('api', 'api', 5),
    remote: options.remote ? seat('remote', 'remote', 2, 1) : undefined,
    remoteGateway: { ipv4: ip(`10.${subnet}.1.1`), ipv6: ip(`fd00:${subnet}:1::1`) },
    controlPlanes: numbered(options.controlPlanes, 'cp', 'control-plane', 10),
    workers: numbered(options.workers, 'w', 'worker', 30),
    vip: (n) => ip(`10.${subnet}.0.${firstVip + n}`),
    vip6: (n) => ip(`fd00:${subnet}::${firstVip + n}`),
  };
}
