import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram, isExecutable } from '../find-program.ts';
import type { Machine } from '../machine.ts';
import type { LabProcess } from '../process.ts';
import { waitFor } from '../wait.ts';
import { BFD_MULTIPLIER, type Neighbor, type RouterOptions } from './types.ts';

const PROGRAMS = '/usr/lib/frr';
const USER = 'frr';

/** Why FRR cannot be run here; undefined when it can. Its programs lie outside of PATH, and it insists on its own user. */
export function whyNoFrr(): string | undefined {
  const isThere = ['zebra', 'bfdd', 'bgpd'].every((name) => isExecutable(path.join(PROGRAMS, name)));
  if (!isThere || findProgram('vtysh') === undefined) return 'no FRR here (Debian package frr)';
  if (process.env['KUBE_VIP_LAB_USERNS'] !== undefined)
    return 'FRR needs a user of its own, which takes root';
  return undefined;
}

/** FRR on a machine: zebra, bfdd and bgpd, with one session for each neighbour; it waits to be connected to. */
export class Frr {
  readonly machine: Machine;
  readonly #dir: string;
  readonly #processes: readonly LabProcess[];

  private constructor(machine: Machine, dir: string, processes: readonly LabProcess[]) {
    this.machine = machine;
    this.#dir = dir;
    this.#processes = processes;
  }

  static async start(machine: Machine, options: RouterOptions): Promise<Frr> {
    const dir = path.join(machine.dir, 'frr');
    mkdirSync(dir, { recursive: true });
    const [uid, gid] = frrIds();
    chownSync(dir, uid, gid);
    const config = path.join(dir, 'frr.conf');
    writeFileSync(config, frrConfig(machine, options));
    const run = (name: string, ...more: readonly string[]): LabProcess => {
      const common = [
        '-f',
        config,
        '-z',
        path.join(dir, 'zserv.api'),
        '--vty_socket',
        dir,
        '--log',
        'stdout',
      ];
      const pid = path.join(dir, `${name}.pid`);
      return machine.start(name, [path.join(PROGRAMS, name), ...common, '-i', pid, ...more]);
    };
    const processes = [run('zebra')];
    const frr = new Frr(machine, dir, processes);
    const answer = (command: string, pattern: RegExp): Promise<unknown> =>
      waitFor(async () => pattern.test(await frr.ask(command)), {
        what: `FRR to answer ${command}`,
        detail: () => processes.map((each) => each.tail()).join('\n'),
        hopeless: () => (processes.every(({ alive }) => alive) ? undefined : 'a part of FRR ended'),
      });
    // One after the other: who comes before zebra listens asks again after 10 s, and BFD that bgpd wanted meanwhile never comes to be.
    await answer('show zebra client summary', /Name/);
    processes.push(run('bfdd', '--bfdctl', path.join(dir, 'bfdd.sock')));
    await answer('show zebra client summary', /^bfd\b/m);
    processes.push(run('bgpd', '-p', String(options.port ?? 179)));
    await answer('show zebra client summary', /^bgp\b/m);
    await answer('show bgp summary json', /\{/);
    return frr;
  }

  /** What `vtysh` answers to these commands, one after the other. */
  async ask(...commands: readonly string[]): Promise<string> {
    const args = ['--vty_socket', this.#dir, ...commands.flatMap((each) => ['-c', each])];
    return (await this.machine.tryRun('vtysh', args, { timeoutMs: 20_000 })).stdout;
  }

  /** What its BFD session with a neighbour is: `up`, `down`, `init`, `shutdown`; undefined when there is none. */
  async bfdState(address: string): Promise<string | undefined> {
    const sessions = JSON.parse(await this.ask('show bfd peers json')) as readonly {
      readonly peer: string;
      readonly status: string;
    }[];
    return sessions.find(({ peer }) => peer === address)?.status;
  }

  async stop(): Promise<void> {
    for (const each of this.#processes.toReversed()) await each.stop();
  }
}

/** User and group of the name that FRR runs under. */
function frrIds(): readonly [number, number] {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${USER}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return [Number(uid), Number(gid)];
}

function frrConfig(machine: Machine, { as, neighbors, holdTime = 90 }: RouterOptions): string {
  const lines = neighbors.flatMap((each) => neighborLines(each, holdTime));
  const ipv6 = neighbors.filter(({ address }) => address.includes(':'));
  return `
bfd
 profile fast
  detect-multiplier ${BFD_MULTIPLIER}
  transmit-interval 100
  receive-interval 100
!
router bgp ${as}
 bgp router-id ${machine.ipv4}
 no bgp ebgp-requires-policy
${lines.map((line) => ` ${line}`).join('\n')}
 address-family ipv6 unicast
${ipv6.map(({ address }) => `  neighbor ${address} activate`).join('\n')}
 exit-address-family
`;
}

function neighborLines(neighbor: Neighbor, holdTime: number): readonly string[] {
  const { address, password } = neighbor;
  return [
    `neighbor ${address} remote-as ${neighbor.as}`,
    `neighbor ${address} passive`,
    `neighbor ${address} timers ${Math.floor(holdTime / 3)} ${holdTime}`,
    ...(password === undefined ? [] : [`neighbor ${address} password ${password}`]),
    ...(neighbor.multihop === true ? [`neighbor ${address} ebgp-multihop`] : []),
    ...(neighbor.bfd === true ? [`neighbor ${address} bfd`, `neighbor ${address} bfd profile fast`] : []),
  ];
}
