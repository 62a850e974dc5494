/**
 * The list with one item more. For lists that are kept by the thousand and hardly ever have more than one item: V8 leaves room
 * for sixteen more where a list is spread or pushed to, and none in a list that is written down.
 */
export function append<T>(list: readonly T[] | undefined, item: T): readonly T[] {
  return list === undefined || list.length === 0 ? [item] : [...list, item];
}
