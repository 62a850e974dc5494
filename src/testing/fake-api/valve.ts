import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';

/**
 * A socket with a valve in each direction. Shut, it behaves like a path that drops every packet:
 * the connection stays, nothing comes through; open again, everything that waited does.
 */
export class Valve extends Duplex {
  readonly socket: Socket;
  private shut: boolean;
  private heldWrite: (() => void) | undefined;

  constructor(socket: Socket, shut: boolean) {
    super({ allowHalfOpen: true });
    this.socket = socket;
    this.shut = shut;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.once('end', () => this.push(null));
    socket.once('close', () => this.destroy());
    socket.on('error', () => this.destroy());
    if (shut) socket.pause();
  }

  setShut(shut: boolean): void {
    this.shut = shut;
    if (shut) this.socket.pause();
    else {
      this.socket.resume();
      const write = this.heldWrite;
      this.heldWrite = undefined;
      write?.();
    }
  }

  override _read(): void {
    if (!this.shut) this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const write = (): void => {
      this.socket.write(chunk, () => {
        done();
      });
    };
    if (this.shut) this.heldWrite = write;
    else write();
  }

  override _final(done: () => void): void {
    if (this.shut) this.heldWrite = () => this.socket.end(done);
    else this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}
