import { familyOf, parseIp, type Ip } from '../lib/ip.ts';

/**
 * What a Node lists, in two: `own`, by which it is known, the first InternalIP of each family; and `others`. A
 * cloud's controller lists all that a machine has, the VIPs of Services among them.
 */
export function splitAddresses(listed: readonly { readonly type: string; readonly address: string }[]): {
  readonly own: readonly Ip[];
  readonly others: readonly Ip[];
} {
  const all = listed.flatMap(({ type, address }) => {
    const parsed = parseIp(address);
    return parsed === undefined ? [] : [{ isInternal: type === 'InternalIP', address: parsed }];
  });
  const own = ([4, 6] as const).flatMap((family) => {
    const first = all.find(({ isInternal, address }) => isInternal && familyOf(address) === family);
    return first === undefined ? [] : [first.address];
  });
  return { own, others: all.map(({ address }) => address).filter((address) => !own.includes(address)) };
}
