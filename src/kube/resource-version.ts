/**
 * Is `version` from before `known`? Both are of one server and one kind of object. API servers count (and promise so since
 * Kubernetes 1.35, KEP-5504); of versions that are no numbers nothing is known: false.
 */
export function isOlderVersion(version: string, known: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(known)) return false;
  return BigInt(version) < BigInt(known);
}
