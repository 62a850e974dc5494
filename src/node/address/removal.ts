import { familyOf, hostLength, ipToBytes } from '../../lib/ip.ts';
import { isKernelError, type KernelError } from '../../linux/errors.ts';
import type { Address, AddressKey, Kernel } from '../../linux/types.ts';
import { addressId, type Observed } from '../observed.ts';

/**
 * Removes addresses, and nothing else: Linux takes the other IPv4 addresses of a subnet along with
 * the one that was there first, unless `promote_secondaries` is set. It is set for the moment, or,
 * where settings cannot be written, the others are put back.
 *
 * Returns the failures; "not there" is none.
 */
export function removeAddresses(
  kernel: Kernel,
  observed: Observed,
  keys: readonly AddressKey[],
): ReadonlyMap<AddressKey, KernelError> {
  const failures = new Map<AddressKey, KernelError>();
  const simple: AddressKey[] = [];
  for (const key of keys) {
    const others = companions(observed, key, keys);
    if (others.length === 0) simple.push(key);
    else removeShielded(kernel, observed, key, others, failures);
  }
  for (const [i, error] of kernel.removeAddresses(simple).entries()) {
    const key = simple[i];
    if (key !== undefined) settle(observed, key, error, failures);
  }
  return failures;
}

function settle(
  observed: Observed,
  key: AddressKey,
  error: KernelError | undefined,
  failures: Map<AddressKey, KernelError>,
): void {
  if (error === undefined) observed.removed(key);
  else if (error.kind === 'gone') observed.lost(key);
  else failures.set(key, error);
}

/** IPv4 addresses of the same subnet on the same link that are to stay. */
function companions(observed: Observed, key: AddressKey, leaving: readonly AddressKey[]): readonly Address[] {
  if (familyOf(key.address) === 6 || key.prefixLength === hostLength(key.address)) return [];
  const going = new Set(leaving.map(addressId));
  return observed
    .addressesOn(key.ifindex)
    .filter((other) => !going.has(addressId(other)) && isSameSubnet(other, key));
}

function removeShielded(
  kernel: Kernel,
  observed: Observed,
  key: AddressKey,
  others: readonly Address[],
  failures: Map<AddressKey, KernelError>,
): void {
  const restore = promoteSecondaries(kernel, observed, key);
  const [error] = kernel.removeAddresses([key]);
  settle(observed, key, error, failures);
  if (restore !== undefined) restore();
  // The setting could not be written: what the kernel took along comes back as it was.
  else if (error === undefined) kernel.setAddresses(others);
}

/** Sets it for this link; returns how to undo that, or undefined when it cannot be set. */
function promoteSecondaries(kernel: Kernel, observed: Observed, key: AddressKey): (() => void) | undefined {
  const link = observed.linkAt(key.ifindex);
  if (link === undefined) return undefined;
  const name = `net.ipv4.conf.${link.name.replaceAll('.', '/')}.promote_secondaries`;
  try {
    const before = kernel.readSysctl(name);
    if (before !== '0') return () => undefined;
    kernel.writeSysctl(name, '1');
    return () => {
      kernel.writeSysctl(name, before);
    };
  } catch (error) {
    if (isKernelError(error)) return undefined;
    throw error;
  }
}

function isSameSubnet(a: AddressKey, b: AddressKey): boolean {
  if (a.prefixLength !== b.prefixLength || familyOf(a.address) !== familyOf(b.address)) return false;
  const other = ipToBytes(b.address);
  return ipToBytes(a.address).every((byte, i) => {
    const mask = 0xff00 >> Math.min(8, Math.max(0, a.prefixLength - i * 8));
    return ((byte ^ (other[i] ?? 0)) & mask & 0xff) === 0;
  });
}
