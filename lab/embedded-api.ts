import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ApiBackend, ApiUser } from './api-backend.ts';
import { ApiClient } from './api-client.ts';
import type { ApiCommand } from './embedded-server.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { LabProcess } from './process.ts';
import { waitFor } from './wait.ts';

/** The API server of src/testing on a machine of its own: no Go, no etcd, ready in a moment, survives every node. */
export class EmbeddedApi implements ApiBackend {
  readonly kind = 'embedded';
  readonly port = 6443;
  readonly client: ApiClient;
  readonly process: LabProcess;
  readonly #machine: Machine;
  readonly #answers: AsyncIterator<string>;

  private constructor(lab: Lab) {
    const script = fileURLToPath(new URL('embedded-server.ts', import.meta.url));
    this.#machine = lab.api;
    this.process = lab.api.start('api-server', [process.execPath, script, String(this.port)], { pipe: true });
    this.#answers = this.process.lines()[Symbol.asyncIterator]();
    this.client = new ApiClient(lab.client, { servers: [this.url] });
  }

  static async start(lab: Lab): Promise<EmbeddedApi> {
    const api = new EmbeddedApi(lab);
    await api.#waitReady();
    return api;
  }

  get url(): string {
    return `http://${this.#machine.ipv4}:${this.port}`;
  }

  kubeconfig(node: Machine, user: ApiUser, server = this.url): string {
    return writeKubeconfig(path.join(node.dir, `${user}.conf`), { server, user });
  }

  /** Faults on demand, one after the other. Returns how many requests all faults have hit so far. */
  async command(command: ApiCommand): Promise<number> {
    this.process.child.stdin?.write(`${JSON.stringify(command)}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error(`the embedded API server ended\n${this.process.tail()}`);
    return Number(answer.value);
  }

  /** Its cable is pulled: it keeps everything in memory, so it must not end. */
  async takeAway(): Promise<void> {
    await this.#machine.cable.pull();
  }

  async bringBack(): Promise<void> {
    await this.#machine.cable.plug();
    await this.#waitReady();
  }

  /** Nothing of it runs on a node. */
  async restartNode(): Promise<void> {
    await this.#waitReady();
  }

  async #waitReady(): Promise<void> {
    await waitFor(() => this.client.ready(), {
      what: 'the embedded API server',
      timeoutMs: 60_000,
      detail: () => this.process.tail(),
      hopeless: () => (this.process.alive ? undefined : 'it ended'),
    });
  }
}
