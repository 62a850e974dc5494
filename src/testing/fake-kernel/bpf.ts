/** One classic BPF instruction: code, jump if true, jump if false, constant (linux/filter.h). */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number];

/**
 * Runs a classic BPF program over a frame, as SO_ATTACH_FILTER does: returns how many bytes are
 * accepted, 0 for "drop". A load past the end of the frame drops it. Instructions with scratch
 * memory are not needed by our filters and throw.
 */
export function runBpf(program: readonly BpfInstruction[], frame: Uint8Array): number {
  const machine = new Machine(frame);
  for (let pc = 0; pc < program.length; pc++) {
    const [code, jt, jf, k] = program[pc] ?? [0x06, 0, 0, 0];
    switch (code & 0x07) {
      case 0x00: // BPF_LD
      case 0x01: // BPF_LDX
        if (!machine.load(code, k)) return 0;
        break;
      case 0x04: // BPF_ALU
        machine.compute(code, k);
        break;
      case 0x05: // BPF_JMP
        pc += machine.jump(code, k, jt, jf);
        break;
      case 0x06: // BPF_RET
        return (code & 0x18) === 0x10 ? machine.a : k;
      case 0x07: // BPF_MISC
        if (code === 0x07) machine.x = machine.a;
        else machine.a = machine.x;
        break;
      default:
        throw new TypeError(`classic BPF instruction ${code} is not supported by this fake`);
    }
  }
  throw new TypeError('a classic BPF program must end with a return');
}

class Machine {
  a = 0;
  x = 0;
  private readonly frame: Uint8Array;

  constructor(frame: Uint8Array) {
    this.frame = frame;
  }

  /** False when the load would pass the end of the frame. */
  load(code: number, k: number): boolean {
    const toX = (code & 0x07) === 0x01;
    const mode = code & 0xe0;
    let value: number | undefined;
    if (mode === 0x00)
      value = k; // BPF_IMM
    else if (mode === 0x80)
      value = this.frame.length; // BPF_LEN
    else if (mode === 0x20)
      value = this.read(k, code & 0x18); // BPF_ABS
    else if (mode === 0x40)
      value = this.read(k + this.x, code & 0x18); // BPF_IND
    else if (mode === 0xa0) {
      const byte = this.read(k, 0x10); // BPF_MSH: four times the low nibble, an IPv4 header length
      value = byte === undefined ? undefined : (byte & 0x0f) * 4;
    } else throw new TypeError(`classic BPF load mode ${mode} is not supported by this fake`);
    if (value === undefined) return false;
    if (toX) this.x = value;
    else this.a = value;
    return true;
  }

  compute(code: number, k: number): void {
    const operand = (code & 0x08) === 0 ? k : this.x;
    const a = this.a;
    switch (code & 0xf0) {
      case 0x00:
        this.a = (a + operand) >>> 0;
        return;
      case 0x10:
        this.a = (a - operand) >>> 0;
        return;
      case 0x40:
        this.a = (a | operand) >>> 0;
        return;
      case 0x50:
        this.a = (a & operand) >>> 0;
        return;
      case 0x60:
        this.a = (a << operand) >>> 0;
        return;
      case 0x70:
        this.a = a >>> operand;
        return;
      default:
        throw new TypeError(`classic BPF operation ${code} is not supported by this fake`);
    }
  }

  jump(code: number, k: number, jt: number, jf: number): number {
    const operand = ((code & 0x08) === 0 ? k : this.x) >>> 0;
    switch (code & 0xf0) {
      case 0x00:
        return k;
      case 0x10:
        return this.a === operand ? jt : jf;
      case 0x20:
        return this.a > operand ? jt : jf;
      case 0x30:
        return this.a >= operand ? jt : jf;
      default:
        return (this.a & operand) === 0 ? jf : jt;
    }
  }

  private read(at: number, size: number): number | undefined {
    const width = size === 0x00 ? 4 : size === 0x08 ? 2 : 1;
    if (at < 0 || at + width > this.frame.length) return undefined;
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + (this.frame[at + i] ?? 0);
    return value;
  }
}
