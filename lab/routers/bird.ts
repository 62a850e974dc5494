import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { requireComponent } from '../components.ts';
import type { Machine } from '../machine.ts';
import type { LabProcess } from '../process.ts';
import { waitFor } from '../wait.ts';
import { BFD_MULTIPLIER, type Neighbor, type RouterOptions } from './types.ts';

/**
 * BIRD 2 on a machine: one session for each neighbour, several paths to a prefix merged into one kernel route.
 * It waits to be connected to, and short times make it take a neighbour back soon.
 */
export class Bird {
  readonly machine: Machine;
  readonly process: LabProcess;
  readonly #socket: string;
  readonly #config: string;
  readonly #options: RouterOptions;

  private constructor(machine: Machine, options: RouterOptions) {
    this.machine = machine;
    this.#options = options;
    this.#socket = path.join(machine.dir, 'bird.ctl');
    this.#config = path.join(machine.dir, 'bird.conf');
    rmSync(this.#socket, { force: true });
    writeFileSync(this.#config, birdConfig(machine, options));
    const bird = requireComponent('bird');
    this.process = machine.start('bird', [bird, '-f', '-c', this.#config, '-s', this.#socket]);
  }

  static async start(machine: Machine, options: RouterOptions): Promise<Bird> {
    const bird = new Bird(machine, options);
    await waitFor(async () => (await bird.ask('show status')).includes('Daemon is up'), {
      what: 'BIRD to answer',
      detail: () => bird.process.tail(),
      hopeless: () => (bird.process.alive ? undefined : 'BIRD ended'),
    });
    return bird;
  }

  /** What `birdc` answers. */
  async ask(command: string): Promise<string> {
    const args = ['-s', this.#socket, ...command.split(' ')];
    return (await this.machine.tryRun(requireComponent('birdc'), args, { timeoutMs: 20_000 })).stdout;
  }

  /** Everything it says about the session with a neighbour. */
  session(address: string): Promise<string> {
    const index = this.#options.neighbors.findIndex((each) => each.address === address);
    return this.ask(`show protocols all ${nameOf(index)}`);
  }

  /** With all attributes. */
  route(prefix: string): Promise<string> {
    return this.ask(`show route for ${prefix} all`);
  }

  async waitEstablished(address: string, timeoutMs = 60_000): Promise<void> {
    await waitFor(async () => /BGP state:\s+Established/.test(await this.session(address)), {
      what: `the session of ${address} with BIRD`,
      timeoutMs,
      detail: () => this.process.tail(),
    });
  }

  /** What its BFD session with a neighbour is: `Up`, `Down` ...; undefined when there is none. */
  async bfdState(address: string): Promise<string | undefined> {
    const line = (await this.ask('show bfd sessions'))
      .split('\n')
      .find((each) => each.startsWith(`${address} `));
    return line?.trim().split(/\s+/)[2];
  }

  /** The session is ended and kept down, or up again. */
  async setEnabled(address: string, isEnabled: boolean): Promise<void> {
    const index = this.#options.neighbors.findIndex((each) => each.address === address);
    await this.ask(`${isEnabled ? 'enable' : 'disable'} ${nameOf(index)}`);
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}

/** Next hops of the kernel's route to exactly this prefix, sorted; none when there is no route. */
export async function kernelNextHops(machine: Machine, prefix: string): Promise<readonly string[]> {
  const family = prefix.includes(':') ? '-6' : '-4';
  const text = await machine.run('ip', [family, '-json', 'route', 'show', 'exact', prefix]);
  const routes = JSON.parse(text === '' ? '[]' : text) as readonly {
    readonly gateway?: string;
    readonly nexthops?: readonly { readonly gateway?: string }[];
  }[];
  return routes
    .flatMap(({ gateway, nexthops }) => [gateway, ...(nexthops ?? []).map((hop) => hop.gateway)])
    .filter((each) => each !== undefined)
    .toSorted();
}

function nameOf(index: number): string {
  return `n${index + 1}`;
}

function birdConfig(machine: Machine, options: RouterOptions): string {
  const kernel = (family: 4 | 6): string => `
protocol kernel {
  ipv${family} { import none; export all; };
  merge paths on limit 16;
}`;
  return `
router id ${machine.ipv4};
log stderr all;
debug protocols { states, events };
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; }
${options.neighbors.some(({ bfd }) => bfd === true) ? bfdProtocol : ''}
${kernel(4)}
${kernel(6)}
${options.neighbors.map((each, index) => bgpProtocol(nameOf(index), machine, options, each)).join('')}`;
}

const bfdProtocol = `
protocol bfd {
  interface "*" { interval 100 ms; multiplier ${BFD_MULTIPLIER}; };
  multihop { interval 100 ms; multiplier ${BFD_MULTIPLIER}; };
}`;

function bgpProtocol(name: string, machine: Machine, options: RouterOptions, neighbor: Neighbor): string {
  const isIpv6 = neighbor.address.includes(':');
  const families = neighbor.families ?? [isIpv6 ? 6 : 4];
  const { link } = neighbor;
  const local = link === undefined ? (isIpv6 ? machine.ipv6 : machine.ipv4) : '';
  const lines = [
    `local ${local} port ${options.port ?? 179} as ${options.as};`,
    `neighbor ${neighbor.address} ${link === undefined ? '' : `% '${link}'`} as ${neighbor.as};`,
    'passive on;',
    'error wait time 1, 1;',
    'connect retry time 1;',
    'connect delay time 1;',
    `hold time ${options.holdTime ?? 90};`,
    ...(neighbor.password === undefined ? [] : [`password "${neighbor.password}";`]),
    neighbor.multihop === true ? 'multihop;' : 'direct;',
    ...(neighbor.bfd === true ? ['bfd on;'] : []),
    ...families.map((family) => `ipv${family} { import all; export none; };`),
  ];
  return `
protocol bgp ${name} {
${lines.map((line) => `  ${line}`).join('\n')}
}
`;
}
