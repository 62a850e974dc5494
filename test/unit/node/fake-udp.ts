import type { OpenUdpPath, UdpPathOptions } from '../../../src/linux/types.ts';
import { decodeBfd, encodeBfd } from '../../../src/protocols/bfd/codec.ts';
import type { BfdPacket } from '../../../src/protocols/bfd/types.ts';

/** One path, and the BFD speaker at its other end as the test plays it. */
export class FakeUdpPath {
  readonly options: UdpPathOptions;
  readonly #onDatagram: (bytes: Uint8Array) => void;
  readonly #sent: BfdPacket[] = [];
  /** Arrived, and not read before somebody asks. */
  readonly waiting: Uint8Array[] = [];
  isOpen = true;
  /** Thrown by whatever is sent. */
  failure: Error | undefined;
  #discriminator = 0;

  constructor(options: UdpPathOptions, onDatagram: (bytes: Uint8Array) => void) {
    this.options = options;
    this.#onDatagram = onDatagram;
  }

  send(bytes: Uint8Array): void {
    if (this.failure !== undefined) throw this.failure;
    const packet = decodeBfd(bytes);
    this.#discriminator = packet.myDiscriminator;
    this.#sent.push(packet);
  }

  hearNow(): void {
    for (const bytes of this.waiting.splice(0)) this.#onDatagram(bytes);
  }

  close(): void {
    this.isOpen = false;
  }

  /** What was sent since the last look. */
  sent(): readonly BfdPacket[] {
    return this.#sent.splice(0);
  }

  /** As a packet of the other end's session with us. */
  encode(packet: Partial<BfdPacket>): Uint8Array {
    return encodeBfd({
      diagnostic: 0,
      state: 'down',
      poll: false,
      final: false,
      controlPlaneIndependent: false,
      demand: false,
      detectMultiplier: 3,
      myDiscriminator: 77,
      yourDiscriminator: this.#discriminator,
      desiredMinTxUs: 200_000,
      requiredMinRxUs: 200_000,
      requiredMinEchoRxUs: 0,
      ...packet,
    });
  }

  say(packet: Partial<BfdPacket>): void {
    this.bytes(this.encode(packet));
  }

  bytes(bytes: Uint8Array): void {
    this.#onDatagram(bytes);
  }

  comeUp(): void {
    this.say({ state: 'down' });
    this.say({ state: 'up' });
  }
}

/** Where BFD packets go in a test. */
export class FakeUdpPaths {
  readonly paths: FakeUdpPath[] = [];
  /** Thrown by the next attempt. */
  failNext: Error | undefined;

  readonly open: OpenUdpPath = (options, onDatagram) => {
    const { failNext } = this;
    this.failNext = undefined;
    if (failNext !== undefined) throw failNext;
    const path = new FakeUdpPath(options, onDatagram);
    this.paths.push(path);
    return path;
  };

  get last(): FakeUdpPath {
    const path = this.paths.at(-1);
    if (path === undefined) throw new Error('no path was opened');
    return path;
  }
}
