import { badRequest } from './failure.ts';
import { at, child } from './json.ts';
import type { Json } from './json.ts';

export type Predicate = (object: Json) => boolean;

/** Fields the API server can select by (a few of them for every kind, to keep the fake simple). */
const fields = /^(metadata\.(name|namespace)|spec\.nodeName|status\.phase|involvedObject\.\w+|type|reason)$/;

/** Parses `fieldSelector`: `=`, `==` and `!=` joined by commas. */
export function fieldSelector(selector: string): Predicate {
  const terms = selector.split(',').filter((term) => term !== '');
  return all(
    terms.map((term): Predicate => {
      const match = /^([^=!]+)(!=|==?)(.*)$/.exec(term);
      const field = match?.[1] ?? '';
      const value = match?.[3] ?? '';
      if (match === null) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
      if (!fields.test(field)) throw badRequest(`"${field}" is not a known field selector`);
      return (object) => ((at(object, field) ?? '') === value) === (match[2] !== '!=');
    }),
  );
}

/** Parses `labelSelector`: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas. */
export function labelSelector(selector: string): Predicate {
  const terms = selector.split(/,(?![^(]*\))/).filter((term) => term.trim() !== '');
  return all(terms.map((term) => labelTerm(term.trim())));
}

function labelTerm(term: string): Predicate {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return byLabel(
      set[1] ?? '',
      (label) => (label !== undefined && values.includes(label)) === (set[2] === 'in'),
    );
  }
  const equality = /^([^=!\s]+)\s*(!=|==?)\s*(.*)$/.exec(term);
  if (equality !== null) {
    return byLabel(equality[1] ?? '', (label) => (label === equality[3]) === (equality[2] !== '!='));
  }
  const presence = /^(!?)([\w./-]+)$/.exec(term);
  if (presence === null) throw badRequest(`unable to parse requirement: ${term}`);
  return byLabel(presence[2] ?? '', (label) => (label === undefined) === (presence[1] === '!'));
}

function byLabel(name: string, matches: (label: string | undefined) => boolean): Predicate {
  return (object) => {
    const label = child(child(object, 'metadata'), 'labels')[name];
    return matches(typeof label === 'string' ? label : undefined);
  };
}

export function all(predicates: readonly Predicate[]): Predicate {
  return (object) => predicates.every((predicate) => predicate(object));
}
