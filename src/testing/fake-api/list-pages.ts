import { badRequest, expired } from './failure.ts';
import { isJson } from './json.ts';
import type { Json } from './json.ts';
import type { Route } from './route.ts';
import { selectionOf } from './selection.ts';
import type { ObjectStore } from './store.ts';

interface Snapshot {
  readonly revision: number;
  readonly items: readonly Json[];
}

/** Lists that are under way at once; the oldest one expires. */
const MAX_SNAPSHOTS = 16;

/** Lists, whole or in pages; all pages of a list show the same moment. */
export class ListPages {
  private readonly store: ObjectStore;
  private readonly snapshots = new Map<number, Snapshot>();
  private lastId = 0;

  constructor(store: ObjectStore) {
    this.store = store;
  }

  list(route: Route, query: URLSearchParams): Json {
    const limit = Number(query.get('limit') ?? 0);
    const token = query.get('continue') ?? '';
    const { id, start } = token === '' ? this.begin(route, query) : decodeToken(token);
    const snapshot = this.snapshots.get(id);
    if (snapshot === undefined || snapshot.revision < this.store.compactedRevision) {
      throw expired('The provided continue parameter is too old to display a consistent list result.');
    }
    const end = limit > 0 ? start + limit : snapshot.items.length;
    const left = Math.max(0, snapshot.items.length - end);
    if (left === 0) this.snapshots.delete(id);
    return {
      kind: `${route.kind ?? 'Unknown'}List`,
      apiVersion: route.group === '' ? route.version : `${route.group}/${route.version}`,
      metadata: {
        resourceVersion: String(snapshot.revision),
        ...(left === 0 ? {} : { continue: encodeToken(id, end), remainingItemCount: left }),
      },
      items: snapshot.items.slice(start, end).map(asListItem),
    };
  }

  private begin(route: Route, query: URLSearchParams): { readonly id: number; readonly start: number } {
    const matches = selectionOf(route, query);
    const items = this.store
      .list(route.collection)
      .map(([, object]) => object)
      .filter(matches);
    const id = ++this.lastId;
    this.snapshots.set(id, { revision: this.store.revision, items });
    for (const oldest of this.snapshots.keys()) {
      if (this.snapshots.size <= MAX_SNAPSHOTS) break;
      this.snapshots.delete(oldest);
    }
    return { id, start: 0 };
  }
}

/** Items of a typed list carry neither kind nor apiVersion. */
function asListItem(object: Json): Json {
  return Object.fromEntries(
    Object.entries(object).filter(([name]) => name !== 'kind' && name !== 'apiVersion'),
  );
}

function encodeToken(id: number, start: number): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', id, start })).toString('base64url');
}

function decodeToken(token: string): { readonly id: number; readonly start: number } {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (isJson(value)) return { id: Number(value.id), start: Number(value.start) };
  } catch {
    // said below
  }
  throw badRequest('continue key is not valid');
}
