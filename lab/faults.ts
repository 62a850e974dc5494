import { ipBatch, runIn } from './netns.ts';
import type { Seat } from './plan.ts';

/** Every fault has its own nftables table, so that faults combine and each is healed by deleting its table. */
async function setTable(
  namespace: string,
  family: 'inet' | 'netdev',
  name: string,
  chains: readonly string[] | undefined,
): Promise<void> {
  const table = `table ${family} lab_${name}`;
  const body = chains === undefined ? '' : `${table} {\n${chains.join('\n')}\n}\n`;
  // Declaring an empty table first makes the delete succeed whether or not it was there: one atomic replacement.
  await runIn(namespace, 'nft', ['-f', '-'], { input: `${table} {}\ndelete ${table}\n${body}` });
}

const ingressDrop = (device: string, match = ''): string =>
  `chain sink { type filter hook ingress device "${device}" priority -500; ${match} drop; }`;

/** The cable between a machine and the switch, and what is wrong with it. */
export class Cable {
  readonly #switchNamespace: string;
  readonly #seat: Seat;

  constructor(switchNamespace: string, seat: Seat) {
    this.#switchNamespace = switchNamespace;
    this.#seat = seat;
  }

  /** Pulled: the machine sees its carrier go. */
  async pull(): Promise<void> {
    await ipBatch(this.#switchNamespace, [`link set ${this.#seat.name} down`]);
  }

  async plug(): Promise<void> {
    await ipBatch(this.#switchNamespace, [`link set ${this.#seat.name} up`]);
  }

  /** Frames to the machine, from it, or both vanish; the carrier stays. ARP and packet sockets included. */
  async cut(direction: 'to' | 'from' | 'both'): Promise<void> {
    await setTable(
      this.#seat.namespace,
      'netdev',
      'cut',
      direction === 'from' ? undefined : [ingressDrop('eth0')],
    );
    await setTable(
      this.#switchNamespace,
      'netdev',
      `cut_${this.#seat.name}`,
      direction === 'to' ? undefined : [ingressDrop(this.#seat.name)],
    );
  }

  /** Frames from these machines no longer arrive (one way: call it on the other side too for a full partition). */
  async deafTo(others: readonly { readonly mac: string }[]): Promise<void> {
    const macs = others.map((other) => other.mac).join(', ');
    await setTable(
      this.#seat.namespace,
      'netdev',
      'deaf',
      others.length === 0 ? undefined : [ingressDrop('eth0', `ether saddr { ${macs} }`)],
    );
  }

  /** No connection from this machine to any API server, its own included, makes progress; new and old ones alike. */
  async blackholeApi(port: number): Promise<void> {
    await setTable(this.#seat.namespace, 'inet', 'api', [
      `chain out { type filter hook output priority -500; tcp dport ${port} drop; }`,
      `chain in { type filter hook input priority -500; tcp sport ${port} drop; }`,
    ]);
  }

  /** The connections that are open to this port now make no progress any more, without a word; new ones work. */
  async silenceConnections(port: number): Promise<void> {
    const filter = ['-tnH', 'state', 'established', 'dport', '=', `:${port}`];
    const lines = (await runIn(this.#seat.namespace, 'ss', filter)).trim().split('\n');
    const ports = lines.flatMap((line) => /:(\d+)\s+\S+$/.exec(line.trim())?.[1] ?? []).join(', ');
    if (ports === '') throw new Error(`${this.#seat.name} has no connection to port ${port}`);
    await setTable(this.#seat.namespace, 'inet', 'silence', [
      `chain out { type filter hook output priority -500; tcp dport ${port} tcp sport { ${ports} } drop; }`,
      `chain in { type filter hook input priority -500; tcp sport ${port} tcp dport { ${ports} } drop; }`,
    ]);
  }

  async restoreApi(): Promise<void> {
    await setTable(this.#seat.namespace, 'inet', 'api', undefined);
    await setTable(this.#seat.namespace, 'inet', 'silence', undefined);
  }

  /** Undoes everything above. */
  async heal(): Promise<void> {
    await this.plug();
    await setTable(this.#seat.namespace, 'netdev', 'cut', undefined);
    await setTable(this.#seat.namespace, 'netdev', 'deaf', undefined);
    await setTable(this.#switchNamespace, 'netdev', `cut_${this.#seat.name}`, undefined);
    await this.restoreApi();
  }
}
