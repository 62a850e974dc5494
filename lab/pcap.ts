/** Independent of src/protocols on purpose: this is a judge, it must not share the accused's mistakes. */

interface FrameBase {
  /** Wall-clock milliseconds with fractions. */
  readonly at: number;
  readonly source: string;
  readonly destination: string;
  readonly bytes: Uint8Array;
}

export interface ArpFrame extends FrameBase {
  readonly kind: 'arp';
  readonly operation: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

/** Neighbour solicitation or advertisement. */
export interface NeighbourFrame extends FrameBase {
  readonly kind: 'ns' | 'na';
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly hopLimit: number;
  readonly target: string;
  /** Advertisements: R, S and O bits; '' for solicitations. */
  readonly flags: string;
  /** Of the source (NS) or target (NA) link-layer address option. */
  readonly linkAddress: string | undefined;
}

export interface OtherFrame extends FrameBase {
  readonly kind: 'other';
  readonly etherType: number;
}

export type Frame = ArpFrame | NeighbourFrame | OtherFrame;

const mac = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(':');
const ipv4 = (bytes: Uint8Array): string => bytes.join('.');

/** RFC 5952: the longest run of zero groups, the first of equals, becomes "::". */
function ipv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  const runs = [...groups.join(':').matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].map((match) => match[1] ?? '');
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return groups.join(':');
  const text = `:${groups.join(':')}:`;
  const at = text.indexOf(`:${longest}:`);
  const [head, tail] = [text.slice(1, at), text.slice(at + longest.length + 2, -1)];
  return `${head}::${tail}`;
}

/** Reads a capture file in either byte order and precision; a frame cut off at the end is left out. */
export function readPcap(file: Uint8Array): readonly Frame[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 24) return [];
  const magic = view.getUint32(0, true);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const perMs = [0xa1b23c4d, 0x4d3cb2a1].includes(magic) ? 1e6 : 1e3;
  const frames: Frame[] = [];
  for (let offset = 24; offset + 16 <= file.length;) {
    const at = view.getUint32(offset, little) * 1000 + view.getUint32(offset + 4, little) / perMs;
    const length = view.getUint32(offset + 8, little);
    if (offset + 16 + length > file.length) break;
    frames.push(readFrame(at, file.slice(offset + 16, offset + 16 + length)));
    offset += 16 + length;
  }
  return frames;
}

function readFrame(at: number, bytes: Uint8Array): Frame {
  const [destination, source] = [mac(bytes.subarray(0, 6)), mac(bytes.subarray(6, 12))];
  const etherType = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0);
  const base = { at, source, destination, bytes };
  if (etherType === 0x0806 && bytes.length >= 42) return readArp(base);
  const isNeighbour = bytes[20] === 58 && (bytes[54] === 135 || bytes[54] === 136);
  if (etherType === 0x86dd && isNeighbour && bytes.length >= 78) return readNeighbour(base);
  return { ...base, kind: 'other', etherType };
}

function readArp(base: FrameBase): ArpFrame {
  const { bytes } = base;
  return {
    ...base,
    kind: 'arp',
    operation: ((bytes[20] ?? 0) << 8) | (bytes[21] ?? 0),
    senderMac: mac(bytes.subarray(22, 28)),
    senderIp: ipv4(bytes.subarray(28, 32)),
    targetMac: mac(bytes.subarray(32, 38)),
    targetIp: ipv4(bytes.subarray(38, 42)),
  };
}

function readNeighbour(base: FrameBase): NeighbourFrame {
  const { bytes } = base;
  const isAdvertisement = bytes[54] === 136;
  const bits = bytes[58] ?? 0;
  const flags = [bits & 0x80 ? 'R' : '', bits & 0x40 ? 'S' : '', bits & 0x20 ? 'O' : ''].join('');
  // RFC 4861 4.6.1: type 1 (source) or 2 (target), length 1 in units of 8 bytes.
  const hasOption = bytes.length >= 86 && (bytes[78] === 1 || bytes[78] === 2) && bytes[79] === 1;
  return {
    ...base,
    kind: isAdvertisement ? 'na' : 'ns',
    sourceIp: ipv6(bytes.subarray(22, 38)),
    destinationIp: ipv6(bytes.subarray(38, 54)),
    hopLimit: bytes[21] ?? 0,
    target: ipv6(bytes.subarray(62, 78)),
    flags: isAdvertisement ? flags : '',
    linkAddress: hasOption ? mac(bytes.subarray(80, 86)) : undefined,
  };
}
