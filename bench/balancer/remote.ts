import path from 'node:path';
import type { LabProcess, Machine } from '../../lab/index.ts';
import type { ChangeTimes, ForwarderReply, ForwarderRequest } from './protocol.ts';
import { first } from './priority.ts';

/** The back-end is not to be had on this machine. */
export class UnsupportedError extends Error {}

/** The daemon's forwarding in the namespace of a machine. */
export class RemoteForwarding {
  private readonly process: LabProcess;
  private readonly replies: AsyncIterator<string>;

  private constructor(process: LabProcess) {
    this.process = process;
    this.replies = process.lines()[Symbol.asyncIterator]();
  }

  /** Throws UnsupportedError when the back-end cannot be opened. */
  static async start(machine: Machine, backend: 'nftables' | 'ipvs' = 'nftables'): Promise<RemoteForwarding> {
    const script = path.join(import.meta.dirname, 'forwarder.ts');
    const remote = new RemoteForwarding(
      machine.start('forwarder', first(process.execPath, script, backend), { pipe: true }),
    );
    const reply = await remote.reply();
    if (!reply.done) throw new UnsupportedError(reply.because);
    return remote;
  }

  /** Resolves when all of it is in force. */
  async set(request: Extract<ForwarderRequest, { do: 'set' }>['specs']): Promise<void> {
    await this.ask({ do: 'set', specs: request });
  }

  async change(
    servers: Extract<ForwarderRequest, { do: 'change' }>['servers'],
    times: number,
  ): Promise<ChangeTimes> {
    const { times: taken } = await this.ask({ do: 'change', servers, times });
    if (taken === undefined) throw new Error('the forwarding did not say how long it took');
    return taken;
  }

  async stop(): Promise<void> {
    this.process.child.stdin?.end();
    await this.process.stop();
  }

  private async ask(request: ForwarderRequest): Promise<Extract<ForwarderReply, { done: true }>> {
    this.process.child.stdin?.write(`${JSON.stringify(request)}\n`);
    const reply = await this.reply();
    if (!reply.done) throw new Error(`${this.process.name}: ${reply.because}`);
    return reply;
  }

  private async reply(): Promise<ForwarderReply> {
    const line = await this.replies.next();
    if (line.done === true) throw new Error(this.process.tail());
    return JSON.parse(line.value) as ForwarderReply;
  }
}
