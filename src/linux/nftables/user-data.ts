/** Type, length, value: how libnftnl lays out what it stores with a rule or a set. */
export function userData(type: number, value: Uint8Array): Uint8Array {
  return Uint8Array.of(type, value.length, ...value);
}

/** A number, in the byte order of the machine. */
export function userNumber(type: number, value: number): Uint8Array {
  return userData(type, new Uint8Array(Uint32Array.of(value).buffer));
}
