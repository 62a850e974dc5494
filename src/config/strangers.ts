import { settingList } from './settings.ts';
import { didYouMean } from './suggest.ts';

const known = settingList.flatMap(([, { env }]) => env);

/** Beginnings of our names (`vip_`). Those in capitals are left out: the kubelet makes such variables of Services. */
const ours = new Set(known.flatMap((name) => /^[a-z0-9]+_/.exec(name) ?? []));

/** What a kubelet writes for a Service (`LB_PORT=tcp://10.96.0.7:443`). */
const ofService = /^(?:tcp|udp|sctp):\/\//;

/** Settings that kube-vip no longer has and that a name like theirs would contradict. */
const removed: ReadonlyMap<string, string> = new Map([
  ['enable_endpointslices', '; slices are watched unless enable_endpoints is true'],
]);

/** At most as many are named: the rest of a wrong environment is no better. */
const mostNamed = 20;

/**
 * Variables that look like settings and are none, as sentences: a name with one of our beginnings, in other letters, or
 * the name that the setting has as a flag or in a file. They are never an error, as in kube-vip.
 */
export function strangers(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(env)
    .filter(([name, value]) => value !== undefined && value !== '' && !known.includes(name))
    .flatMap(([name, value = '']) => {
      const meant = variableFor(name, value);
      const looksLikeOurs = ours.has(/^[a-z0-9]+_/.exec(name)?.[0] ?? '');
      if (meant === undefined && !looksLikeOurs) return [];
      const slip = meant === undefined ? didYouMean(name, known) : `; did you mean ${meant}?`;
      const hint = removed.get(name) ?? slip;
      return [`env ${name} is no setting and is ignored${hint}`];
    })
    .slice(0, mostNamed);
}

function variableFor(name: string, value: string): string | undefined {
  const otherCase = known.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (otherCase !== undefined) return ofService.test(value) ? undefined : otherCase;
  // Words of one small part (log, table, image) are anybody's.
  if (!/[a-z][A-Z]/.test(name)) return undefined;
  return settingList.find(([, { flags, keys }]) => flags.includes(name) || keys.includes(name))?.[1].env[0];
}
