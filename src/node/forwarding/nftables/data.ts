import { ipToBytes, macToBytes, type Ip, type Mac } from '../../../lib/ip.ts';
import type { Hex } from '../../../linux/index.ts';

export function hexOf(bytes: Uint8Array): Hex {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** A 32-bit number in the byte order of the machine, as registers hold marks and slot numbers. */
export function hostU32(value: number): Hex {
  return hexOf(new Uint8Array(Uint32Array.of(value).buffer));
}

export function addressHex(address: Ip): Hex {
  return hexOf(ipToBytes(address));
}

/** A port alone in a register: two bytes in network order. */
export function portHex(port: number): Hex {
  return port.toString(16).padStart(4, '0');
}

/** address . port, each starting at a whole register. */
export function endpointHex(address: Ip, port: number): Hex {
  return `${addressHex(address)}${portHex(port)}0000`;
}

export function macHex(mac: Mac): Hex {
  return hexOf(macToBytes(mac));
}

/** A link name as `meta iifname` compares it: 16 bytes, filled up with zeros. */
export function linkNameHex(name: string): Hex {
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(name).subarray(0, 15));
  return hexOf(bytes);
}
