import { readFileSync } from 'node:fs';

/** Bits of capabilities(7) that this program needs. */
const CAPABILITY_BITS = { NET_ADMIN: 12n, NET_RAW: 13n } as const;

export type Capability = keyof typeof CAPABILITY_BITS;

/** Which of the needed capabilities are not in the effective set of a /proc/<pid>/status text. */
export function missingCapabilities(status: string): Capability[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  const held = BigInt(`0x${effective ?? '0'}`);
  const names: Capability[] = ['NET_ADMIN', 'NET_RAW'];
  return names.filter((name) => (held & (1n << CAPABILITY_BITS[name])) === 0n);
}

/** What this process lacks. */
export function ownMissingCapabilities(): Capability[] {
  return missingCapabilities(readFileSync('/proc/self/status', 'utf8'));
}
