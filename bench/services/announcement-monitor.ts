import { requireComponent, type LabProcess, type Machine } from '../../lab/index.ts';

/** struct pcap_file_header and pcap_sf_pkthdr of a capture with nanosecond stamps, in this machine's byte order. */
const fileHeader = 24;
const frameHeader = 16;
/** Ethernet header, then hardware type to sender's hardware address (RFC 826). */
const senderIpAt = 14 + 14;

/** When the first gratuitous ARP frame of each address came to a machine, by the kernel's own stamp. */
export class AnnouncementMonitor {
  /** Wall-clock milliseconds. */
  readonly heardAt = new Map<string, number>();
  readonly #process: LabProcess;
  #rest: Buffer = Buffer.alloc(0);
  #isPastHeader = false;

  private constructor(process: LabProcess) {
    this.#process = process;
    process.child.stdout?.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
  }

  /** Listening when this resolves. */
  static async start(machine: Machine): Promise<AnnouncementMonitor> {
    const options = ['-i', 'eth0', '-n', '-U', '-s', '64', '-B', '65536', '--time-stamp-precision=nano'];
    const command = [requireComponent('tcpdump'), ...options, '-Z', 'root', '-w', '-', 'arp'];
    const process = machine.start('announcement-monitor', command, { pipe: true });
    const monitor = new AnnouncementMonitor(process);
    await process.waitForLog(/listening on/);
    return monitor;
  }

  reset(): void {
    this.heardAt.clear();
  }

  kill(): void {
    void this.#process.kill();
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#isPastHeader) {
      if (bytes.length < fileHeader) {
        this.#rest = bytes;
        return;
      }
      this.#isPastHeader = true;
      bytes = bytes.subarray(fileHeader);
    }
    let at = 0;
    while (bytes.length - at >= frameHeader) {
      const length = bytes.readUInt32LE(at + 8);
      if (bytes.length - at < frameHeader + length) break;
      this.#frame(bytes.subarray(at, at + frameHeader + length));
      at += frameHeader + length;
    }
    this.#rest = bytes.subarray(at);
  }

  #frame(record: Buffer): void {
    const frame = record.subarray(frameHeader);
    if (frame.length < senderIpAt + 14) return;
    const sender = frame.subarray(senderIpAt, senderIpAt + 4).join('.');
    const target = frame.subarray(senderIpAt + 10, senderIpAt + 14).join('.');
    if (sender !== target || this.heardAt.has(sender)) return;
    this.heardAt.set(sender, record.readUInt32LE(0) * 1000 + record.readUInt32LE(4) / 1e6);
  }
}
