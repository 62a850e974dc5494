import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { AnswerStream, RequestHeaders, Session } from './transport.ts';

/**
 * One HTTP/1.1 connection: one request at a time, the next one when the answer is over. For what stands in front
 * of API servers and speaks nothing newer, and for `kube-apiserver --disable-http2-serving`. It cannot be asked
 * whether it is alive: time limits alone tell.
 */
export class Http1Session implements Session {
  private readonly socket: Socket;
  private readonly agent: Agent;
  private busy = false;
  private drained = false;
  private served = false;
  private whyDestroyed: Error | undefined;

  constructor(socket: Socket, closed: (session: Session, why: Error | undefined) => void) {
    this.socket = socket;
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.agent.createConnection = () => socket;
    socket.on('error', (error: Error) => {
      this.whyDestroyed ??= error;
    });
    socket.once('close', () => {
      this.drained = true;
      closed(this, this.whyDestroyed);
    });
  }

  get hasServed(): boolean {
    return this.served;
  }

  get isOpen(): boolean {
    return !this.drained && !this.socket.destroyed;
  }

  /** Nothing introduces itself here. */
  ready(): Promise<void> {
    return Promise.resolve();
  }

  reserve(): boolean {
    if (!this.isOpen || this.busy) return false;
    this.busy = true;
    return true;
  }

  release(): void {
    this.busy = false;
    if (this.drained) this.socket.destroy();
  }

  open(headers: RequestHeaders, hasBody: boolean): AnswerStream {
    const { ':method': method, ':path': path, ':authority': host } = headers;
    const others = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
    const fields: OutgoingHttpHeaders = { host, ...Object.fromEntries(others) };
    const stream = new Http1Stream(httpRequest({ agent: this.agent, method, path, headers: fields }));
    stream.once('response', () => {
      this.served = true;
    });
    stream.once('close', () => {
      this.release();
    });
    if (!hasBody) stream.end();
    return stream;
  }

  answers(): Promise<boolean> {
    return Promise.resolve(true);
  }

  drain(): void {
    this.drained = true;
    if (!this.busy) this.socket.destroy();
  }

  destroy(why: Error): void {
    this.whyDestroyed ??= why;
    this.socket.destroy(why);
  }
}

/** A request and its answer with the face of an HTTP/2 stream. One that is closed early takes its connection along. */
class Http1Stream extends Readable implements AnswerStream {
  readonly aborted = false;
  private readonly request: ClientRequest;
  private answer: IncomingMessage | undefined;

  constructor(request: ClientRequest) {
    super();
    this.request = request;
    request.once('response', (answer) => {
      this.receive(answer);
    });
    request.on('error', (error) => {
      this.destroy(error);
    });
  }

  end(body?: string): void {
    this.request.end(body);
  }

  close(): void {
    this.destroy();
  }

  override _read(): void {
    this.answer?.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.answer?.complete !== true) this.request.destroy();
    done(error);
  }

  private receive(answer: IncomingMessage): void {
    this.answer = answer;
    answer.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) answer.pause();
    });
    answer.once('end', () => {
      this.push(null);
    });
    answer.on('error', (error) => {
      this.destroy(error);
    });
    this.emit('response', { ...answer.headers, ':status': answer.statusCode });
  }
}
