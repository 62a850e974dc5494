import { badRequest, expired } from './failure.ts';
import { isJson, text } from './json.ts';
import type { Json } from './json.ts';
import type { Route } from './route.ts';
import { selectionOf } from './selection.ts';
import type { ObjectStore } from './store.ts';

/** What a continue token says, in the API server's own format (apiserver/pkg/storage/continue.go). */
interface Continuation {
  readonly revision: number;
  /** Key after which the next page starts: `namespace/name`, NUL. */
  readonly start: string;
}

interface Entry {
  readonly key: string;
  readonly object: Json;
}

/** Lists that are under way at once; the oldest one expires. */
const MAX_SNAPSHOTS = 16;

/** Lists, whole or in pages; all pages of a list show the same moment. */
export class ListPages {
  private readonly store: ObjectStore;
  private readonly snapshots = new Map<string, readonly Entry[]>();

  constructor(store: ObjectStore) {
    this.store = store;
  }

  list(route: Route, query: URLSearchParams): Json {
    const token = query.get('continue') ?? '';
    const from = token === '' ? { revision: this.store.revision, start: '' } : decodeToken(token);
    const matches = selectionOf(route, query);
    const found = this.snapshotAt(route, from.revision).filter(
      ({ key, object }) => key >= from.start && matches(object),
    );
    const limit = Number(query.get('limit') ?? 0);
    const page = limit > 0 ? found.slice(0, limit) : found;
    const left = found.length - page.length;
    const last = page.at(-1)?.key ?? '';
    return {
      kind: `${route.kind ?? 'Unknown'}List`,
      apiVersion: route.group === '' ? route.version : `${route.group}/${route.version}`,
      metadata: {
        resourceVersion: String(from.revision),
        ...(left === 0 ? {} : { continue: encodeToken(from.revision, last), remainingItemCount: left }),
      },
      items: page.map(({ object }) => asListItem(object)),
    };
  }

  private snapshotAt(route: Route, revision: number): readonly Entry[] {
    const id = `${route.collection}@${revision}`;
    const kept = this.snapshots.get(id);
    if (revision < this.store.compactedRevision || (kept === undefined && revision !== this.store.revision)) {
      throw expired(
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
      );
    }
    if (kept !== undefined) return kept;
    const entries = this.store.list(route.collection).map(([key, object]) => ({ key, object }));
    this.snapshots.set(id, entries);
    for (const oldest of this.snapshots.keys()) {
      if (this.snapshots.size <= MAX_SNAPSHOTS) break;
      this.snapshots.delete(oldest);
    }
    return entries;
  }
}

/** Items of a typed list carry neither kind nor apiVersion. */
function asListItem(object: Json): Json {
  return Object.fromEntries(
    Object.entries(object).filter(([name]) => name !== 'kind' && name !== 'apiVersion'),
  );
}

function encodeToken(revision: number, lastKey: string): string {
  const value = { v: 'meta.k8s.io/v1', rv: revision, start: `${lastKey}\u0000` };
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decodeToken(token: string): Continuation {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (isJson(value) && text(value, 'v') === 'meta.k8s.io/v1' && typeof value.rv === 'number') {
      return { revision: value.rv, start: text(value, 'start') };
    }
  } catch {
    // said below
  }
  throw badRequest('continue key is not valid');
}
