import { familyOf, hostLength, ipToBytes } from '../../lib/ip.ts';
import { isKernelError, type KernelError } from '../../linux/errors.ts';
import type { Address, AddressKey, AddressRequest } from '../../linux/types.ts';
import { addressId, type Observed } from '../observed.ts';
import type { AddressKernel } from './stand-ins.ts';

/**
 * Removes addresses, and nothing else: Linux takes the other IPv4 addresses of a subnet along with
 * the one that was there first, unless `promote_secondaries` is set. It is set for the moment, or,
 * where settings cannot be written, the others are put back.
 *
 * Returns the failures; "not there" is none.
 */
export function removeAddresses(
  kernel: AddressKernel,
  observed: Observed,
  keys: readonly AddressKey[],
): ReadonlyMap<AddressKey, KernelError> {
  const failures = new Map<AddressKey, KernelError>();
  const links = new Set(keys.filter(mayHaveSecondaries).map(({ ifindex }) => ifindex));
  const shields = [...links].map((ifindex) => promoteSecondaries(kernel, observed, ifindex));
  const endangered = shields.includes(undefined) ? companions(observed, keys) : [];
  // Linux removes an address only by its very prefix.
  const actual = keys.map((key) => observed.find(key) ?? key);
  for (const [i, error] of kernel.removeAddresses(actual).entries()) {
    const key = keys[i];
    if (key === undefined) continue;
    if (error === undefined) observed.removed(key);
    else if (error.kind === 'gone') observed.lost(key);
    else failures.set(key, error);
  }
  for (const restore of shields) restore?.();
  // A write of what is still there changes nothing.
  if (endangered.length > 0) kernel.setAddresses(endangered.map(asRequest));
  return failures;
}

function mayHaveSecondaries({ address, prefixLength }: AddressKey): boolean {
  return familyOf(address) === 4 && prefixLength < hostLength(address);
}

/** Sets it for this link; returns how to undo that, or undefined when it cannot be set. */
function promoteSecondaries(
  kernel: AddressKernel,
  observed: Observed,
  ifindex: number,
): (() => void) | undefined {
  const link = observed.linkAt(ifindex);
  // Without the link nothing can be taken along.
  if (link === undefined) return () => undefined;
  const name = `net.ipv4.conf.${link.name.replaceAll('.', '/')}.promote_secondaries`;
  try {
    const before = kernel.readSysctl(name);
    if (before !== '0') return () => undefined;
    kernel.writeSysctl(name, '1');
    return () => {
      restoreSysctl(kernel, name, before);
    };
  } catch (error) {
    if (isKernelError(error)) return undefined;
    throw error;
  }
}

function restoreSysctl(kernel: AddressKernel, name: string, value: string): void {
  try {
    kernel.writeSysctl(name, value);
  } catch (error) {
    // The link went away meanwhile, and the setting with it.
    if (!isKernelError(error)) throw error;
  }
}

/** Linux tells of a deprecated address that is valid forever no preferred lifetime of 0, only the flag. */
function asRequest(address: Address): AddressRequest {
  return { ...address, preferredLifetime: address.deprecated ? 0 : address.preferredLifetime };
}

/** IPv4 addresses that stay, in the subnet of one that goes. */
function companions(observed: Observed, leaving: readonly AddressKey[]): readonly Address[] {
  const going = new Set(leaving.map(addressId));
  const subnets = new Set(leaving.filter(mayHaveSecondaries).map(subnetOf));
  const links = new Set(leaving.map(({ ifindex }) => ifindex));
  return [...links]
    .flatMap((ifindex) => observed.addressesOn(ifindex))
    .filter(
      (other) => mayHaveSecondaries(other) && subnets.has(subnetOf(other)) && !going.has(addressId(other)),
    );
}

function subnetOf({ ifindex, address, prefixLength }: AddressKey): string {
  const network = ipToBytes(address).map(
    (byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - i * 8))),
  );
  return `${ifindex} ${network.join('.')}/${prefixLength}`;
}
