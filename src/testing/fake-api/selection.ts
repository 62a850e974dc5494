import { child, text } from './json.ts';
import type { Route } from './route.ts';
import { all, fieldSelector, labelSelector } from './selectors.ts';
import type { Predicate } from './selectors.ts';

/** What a list or watch asks for: its namespace and selectors. */
export function selectionOf(route: Route, query: URLSearchParams): Predicate {
  const inNamespace: Predicate = (object) => text(child(object, 'metadata'), 'namespace') === route.namespace;
  return all([
    ...(route.namespace === '' ? [] : [inNamespace]),
    labelSelector(query.get('labelSelector') ?? ''),
    fieldSelector(query.get('fieldSelector') ?? ''),
    ...(route.name === '' ? [] : [fieldSelector(`metadata.name=${route.name}`)]),
  ]);
}
