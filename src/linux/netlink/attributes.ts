import {
  familyOf,
  ipFromBytes,
  ipToBytes,
  ipv4ToNumber,
  macFromBytes,
  macToBytes,
  type Ip,
  type Mac,
} from '../../lib/ip.ts';
import { align4, NlReader, type NlWriter } from './wire.ts';

/** How the payload of an attribute becomes a value and back. The reader holds exactly the payload. */
export interface AttributeType<T> {
  read(reader: NlReader, field: string): T;
  write(writer: NlWriter, value: T): void;
}

/** An attribute no table declares: kept as it came, so that it survives a round trip. */
export interface UnknownAttribute {
  /** With the flag bits it came with. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/** Any attribute type, for tables that hold several. */
interface AnyAttributeType {
  read(reader: NlReader, field: string): unknown;
  write(writer: NlWriter, value: never): void;
}

type Declarations = Readonly<Record<string, readonly [number, AnyAttributeType]>>;

/** The value object of a table: every attribute is optional, as on the wire. */
export type Attributes<D extends Declarations> = {
  readonly [K in keyof D]?: ReturnType<D[K][1]['read']> | undefined;
} & { readonly unknown?: readonly UnknownAttribute[] };

/** NLA_F_NESTED and NLA_F_NET_BYTEORDER, the two flags in the attribute type. */
const typeMask = 0x3fff;
const nestedFlag = 0x8000;
const nesting = new WeakSet<object>();

interface KnownAttribute {
  readonly name: string;
  readonly type: AnyAttributeType;
}

/** A declared list of attributes: number, name, type. The same table decodes and encodes. */
export class AttributeTable<D extends Declarations> {
  readonly protocol: string;
  private readonly byNumber = new Map<number, KnownAttribute>();
  /** In the order of the declaration. */
  private readonly known: readonly (KnownAttribute & { readonly number: number })[];

  constructor(protocol: string, declarations: D) {
    this.protocol = protocol;
    this.known = Object.entries(declarations).map(([name, [number, type]]) => ({ name, number, type }));
    for (const known of this.known) this.byNumber.set(known.number, known);
  }

  /** Decodes everything left in `reader`. Unknown attributes are dropped unless `keepUnknown`. */
  decode(reader: NlReader, options: { readonly keepUnknown?: boolean } = {}): Attributes<D> {
    const values: Record<string, unknown> = {};
    const unknown: UnknownAttribute[] = [];
    forEachAttribute(reader, (number, payload, type) => {
      const known = this.byNumber.get(number);
      if (known === undefined) {
        if (options.keepUnknown === true) unknown.push({ type, payload: payload.slice() });
        return;
      }
      const inner = new NlReader(`${this.protocol}.${known.name}`, payload, reader.littleEndian);
      values[known.name] = known.type.read(inner, known.name);
    });
    if (unknown.length > 0) values['unknown'] = unknown;
    return values as Attributes<D>;
  }

  /** Appends the attributes that have a value, in the order of the declaration, then the unknown ones. */
  encode(writer: NlWriter, values: Attributes<D>): void {
    // Not a loop: in code that V8 has not optimized each step of one is an object, and thousands of messages come at once.
    this.known.forEach(({ name, number, type }) => {
      const value = (values as Readonly<Record<string, unknown>>)[name];
      if (value === undefined) return;
      const start = beginAttribute(writer, nesting.has(type) ? number | nestedFlag : number);
      type.write(writer, value as never);
      endAttribute(writer, start, number);
    });
    values.unknown?.forEach(({ type, payload }) => {
      writeAttribute(writer, type, (inner) => void inner.bytes(payload));
    });
  }
}

/** Calls `visit` with the number (flag bits removed), payload and full type of each attribute. */
export function forEachAttribute(
  reader: NlReader,
  visit: (number: number, payload: Uint8Array, type: number) => void,
): void {
  while (reader.remaining > 0) {
    const length = reader.u16('attribute length');
    const type = reader.u16('attribute type');
    if (length < 4) reader.fail('attribute length', `${length} is less than the header`);
    const payload = reader.view('attribute payload', length - 4);
    visit(type & typeMask, payload, type);
    reader.skipPadded(align4(length) - length);
  }
}

/** Appends one attribute whose payload `fill` writes; the length is filled in afterwards. */
export function writeAttribute(writer: NlWriter, type: number, fill: (writer: NlWriter) => void): void {
  const start = beginAttribute(writer, type);
  fill(writer);
  endAttribute(writer, start, type);
}

function beginAttribute(writer: NlWriter, type: number): number {
  const start = writer.length;
  writer.u16(0).u16(type);
  return start;
}

function endAttribute(writer: NlWriter, start: number, type: number): void {
  const length = writer.length - start;
  if (length > 0xffff) throw new RangeError(`attribute ${type} has ${length} bytes, more than 65535`);
  writer.patchU16(start, length);
  writer.pad4();
}

function number(
  read: (reader: NlReader, field: string) => number,
  write: (writer: NlWriter, value: number) => void,
): AttributeType<number> {
  return { read, write };
}

export const u8 = number(
  (r, f) => r.u8(f),
  (w, v) => void w.u8(v),
);
export const u16 = number(
  (r, f) => r.u16(f),
  (w, v) => void w.u16(v),
);
export const u32 = number(
  (r, f) => r.u32(f),
  (w, v) => void w.u32(v),
);
export const s32 = number(
  (r, f) => r.s32(f),
  (w, v) => void w.s32(v),
);
/** Network byte order, as nftables and IPVS have ports, verdicts and lengths. */
export const u16be = number(
  (r, f) => r.u16(f, false),
  (w, v) => void w.u16(v, false),
);
export const u32be = number(
  (r, f) => r.u32(f, false),
  (w, v) => void w.u32(v, false),
);
export const u64: AttributeType<bigint> = {
  read: (reader, field) => reader.u64(field),
  write: (writer, value) => void writer.u64(value),
};
export const u64be: AttributeType<bigint> = {
  read: (reader, field) => reader.u64(field, false),
  write: (writer, value) => void writer.u64(value, false),
};

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** NUL-terminated text; the terminator may be missing on input and is written on output. */
export const text: AttributeType<string> = {
  read: (reader, field) => {
    const bytes = reader.rest(field);
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  },
  write: (writer, value) => void writer.bytes(encoder.encode(value)).u8(0),
};

function writeIp(writer: NlWriter, value: Ip): void {
  if (familyOf(value) === 4) writer.u32(ipv4ToNumber(value), false);
  else writer.bytes(ipToBytes(value));
}

/** 4 or 16 bytes. */
export const address: AttributeType<Ip> = {
  read: (reader, field) => {
    if (reader.remaining !== 4 && reader.remaining !== 16) {
      reader.fail(field, `an address has 4 or 16 bytes, not ${reader.remaining}`);
    }
    return ipFromBytes(reader.rest(field));
  },
  write: writeIp,
};

/** A link-layer address of any length. */
export const mac: AttributeType<Mac> = {
  read: (reader, field) => macFromBytes(reader.rest(field)),
  write: (writer, value) => void writer.bytes(macToBytes(value)),
};

/** The bytes as they are. */
export const raw: AttributeType<Uint8Array> = {
  read: (reader, field) => reader.rest(field).slice(),
  write: (writer, value) => void writer.bytes(value),
};

/** Present or absent, without a payload. */
export const flag: AttributeType<true> = {
  read: () => true,
  write: () => undefined,
};

/** Attributes inside an attribute. */
export function nested<D extends Declarations>(table: AttributeTable<D>): AttributeType<Attributes<D>> {
  const type: AttributeType<Attributes<D>> = {
    read: (reader) => table.decode(reader),
    write: (writer, value) => table.encode(writer, value),
  };
  nesting.add(type);
  return type;
}

/** An array: attributes numbered `element`, each holding the attributes of `table` (any number on input). */
export function nestedList<D extends Declarations>(
  table: AttributeTable<D>,
  element = 1,
): AttributeType<readonly Attributes<D>[]> {
  const type: AttributeType<readonly Attributes<D>[]> = {
    read: (reader) => {
      const items: Attributes<D>[] = [];
      forEachAttribute(reader, (_, payload) => {
        items.push(table.decode(new NlReader(table.protocol, payload, reader.littleEndian)));
      });
      return items;
    },
    write: (writer, value) => {
      for (const item of value) {
        writeAttribute(writer, element | nestedFlag, (inner) => table.encode(inner, item));
      }
    },
  };
  nesting.add(type);
  return type;
}
