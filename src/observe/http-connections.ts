import type { Socket } from 'node:net';

/**
 * The connections of a listener, a bounded number of them. Whoever comes beyond it takes the place of the one that has
 * been quiet for longest, so that connections that ask nothing keep no probe out; each is answered one request at a time.
 */
export class HttpConnections {
  private readonly limit: number;
  /** Both in the order in which they became so. */
  private readonly quiet = new Set<Socket>();
  private readonly answering = new Set<Socket>();

  constructor(limit: number) {
    this.limit = limit;
  }

  add(socket: Socket): void {
    if (this.quiet.size + this.answering.size >= this.limit) {
      const [quiet] = this.quiet;
      const [answering] = this.answering;
      const longest = quiet ?? answering;
      longest?.destroy();
      if (longest !== undefined) this.forget(longest);
    }
    this.quiet.add(socket);
    socket.once('close', () => {
      this.forget(socket);
    });
  }

  /**
   * A request has come. False, and the end of the connection, when the one before it is not answered: no scraper asks
   * like that, and answers that nobody reads would fill the memory.
   */
  begin(socket: Socket): boolean {
    if (this.answering.has(socket)) socket.destroy();
    if (socket.destroyed) return false;
    this.quiet.delete(socket);
    this.answering.add(socket);
    return true;
  }

  /** Those that have not asked anything yet. */
  silent(): readonly Socket[] {
    return [...this.quiet].filter(({ bytesRead }) => bytesRead === 0);
  }

  /** The answer has been handed over, or cut off. */
  end(socket: Socket): void {
    if (this.answering.delete(socket) && !socket.destroyed) this.quiet.add(socket);
  }

  private forget(socket: Socket): void {
    this.quiet.delete(socket);
    this.answering.delete(socket);
  }
}
