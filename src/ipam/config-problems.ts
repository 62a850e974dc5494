import { whyNoVip, type Ip } from '../lib/ip.ts';
import { clip, quote } from '../lib/text.ts';
import { allPools, goFalse, goTrue, type Pool } from './pools.ts';
import { addressOf, usableCount } from './ranges.ts';

type Data = Readonly<Record<string, string>>;

/** What is wrong in the ConfigMap, each with its key and value; also what only makes a key mean nothing. */
export function configProblems(data: Data): readonly string[] {
  const pools = allPools(data).flatMap((found) =>
    'problem' in found ? [found.problem.message] : doubtsAbout(found.pool),
  );
  const ignored = Object.entries(data).flatMap(([key, value]) => {
    const words = wordsOf(key);
    if (words === undefined || value === '' || words.includes(value)) return [];
    return [`${key}: ${quote(value)} is none of ${words.join(', ')} and is ignored`];
  });
  return [...pools, ...ignored, ...unknownKeys(data)];
}

/** A pool that can be read and yet will disappoint. */
function doubtsAbout({ key, text, ranges, dhcp }: Pool): readonly string[] {
  if (dhcp) return [];
  const isUseless = ranges.every((range) => usableCount(range) === 0n);
  if (isUseless)
    return [`${key}: ${clip(text)} has only addresses that end in .0 or .255, which are never given out`];
  const ends = ranges.flatMap(({ family, first, last }) => [
    addressOf(first, family),
    addressOf(last, family),
  ]);
  const [unfit] = ends.flatMap((address: Ip) => {
    const why = whyNoVip(address);
    return why === undefined
      ? []
      : [`${key}: ${address} ${why}; Services that are given such addresses are not served`];
  });
  return unfit === undefined ? [] : [unfit];
}

/** Keys that mean nothing, in one message however many there are: most likely slips. */
function unknownKeys(data: Data): readonly string[] {
  const isKnown = (key: string): boolean =>
    /^(?:cidr|range|interface|allow-share)-./.test(key) || wordsOf(key) !== undefined;
  const unknown = Object.keys(data).filter((key) => !isKnown(key));
  return unknown.length === 0 ? [] : [`keys that mean nothing here: ${clip(unknown.toSorted().join(', '))}`];
}

/** The values a key other than a pool can have. */
function wordsOf(key: string): readonly string[] | undefined {
  if (key.startsWith('allow-share-')) return [...goTrue, ...goFalse];
  if (key === 'search-order') return ['asc', 'desc'];
  return key === 'skip-end-ips-in-cidr' ? ['true', 'false'] : undefined;
}
