import { KubeError, TOO_LARGE } from './errors.ts';
import { collectionPath, queryString } from './resources.ts';
import type { CallOptions, KubeObject, ListOptions, ListPage, ListPageOptions, Resource } from './types.ts';
import { decodeObject } from './watch-frames.ts';

/** Gets `path` and decodes the answer; what `decode` throws is the server's fault. */
type GetPage = (
  path: string,
  options: CallOptions,
  decode: (value: unknown) => ListPage<KubeObject>,
) => Promise<ListPage<KubeObject>>;

/** How often an expired list is started anew before its caller hears of it. */
const MAX_RESTARTS = 3;

/** Lists of objects, page by page. */
export class Lists {
  private readonly get: GetPage;
  private readonly pageSize: number;
  /** Where pages of the usual size were too large. */
  private readonly smaller = new Map<string, number>();

  /** `pageSize`: objects asked for at once where a call does not say how many. */
  constructor(get: GetPage, pageSize: number) {
    this.get = get;
    this.pageSize = pageSize;
  }

  /** All of them. A list that expires on the way is begun again, three times at most. */
  async all<T extends KubeObject>(
    resource: Resource,
    options: ListOptions,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    for (let restarts = 0; ; restarts++) {
      try {
        return await this.allPages<T>(resource, options);
      } catch (error) {
        const isExpired = error instanceof KubeError && error.kind === 'gone';
        if (!isExpired || restarts >= MAX_RESTARTS) throw error;
      }
    }
  }

  /** Objects of a page vary from one kilobyte to a megabyte and more: a page that is too large is asked for by halves. */
  async page<T extends KubeObject>(resource: Resource, options: ListPageOptions): Promise<ListPage<T>> {
    const path = collectionPath(resource, options.namespace);
    for (;;) {
      const limit = Math.min(options.limit ?? this.pageSize, this.smaller.get(path) ?? Infinity);
      try {
        return (await this.onePage(path, { ...options, limit })) as ListPage<T>;
      } catch (error) {
        const isTooLarge = error instanceof KubeError && error.reason === TOO_LARGE;
        if (!isTooLarge || limit <= 1) throw error;
        this.smaller.set(path, Math.ceil(limit / 2));
      }
    }
  }

  private async allPages<T extends KubeObject>(
    resource: Resource,
    options: ListOptions,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    const items: T[] = [];
    let continueToken: string | undefined;
    for (;;) {
      const page: ListPage<T> = await this.page<T>(resource, {
        ...options,
        ...(continueToken === undefined ? {} : { continueToken }),
      });
      for (const item of page.items) items.push(item);
      if (page.continueToken === undefined) return { items, resourceVersion: page.resourceVersion };
      continueToken = page.continueToken;
    }
  }

  private onePage(path: string, options: ListPageOptions): Promise<ListPage<KubeObject>> {
    const query = queryString({
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      limit: options.limit,
      continue: options.continueToken,
    });
    return this.get(`${path}${query}`, options, (value) => {
      const page = decodePage(value);
      if (page.continueToken !== undefined && page.continueToken === options.continueToken)
        throw new TypeError('a page of the list is followed by itself');
      return page;
    });
  }
}

function decodePage(value: unknown): ListPage<KubeObject> {
  if (typeof value !== 'object' || value === null) throw new TypeError('the list is not a JSON object');
  const { items, metadata } = value as Record<string, unknown>;
  if (!Array.isArray(items) && items !== null && items !== undefined)
    throw new TypeError('items is not a list');
  if (typeof metadata !== 'object' || metadata === null) throw new TypeError('the list has no metadata');
  const { resourceVersion, continue: token } = metadata as Record<string, unknown>;
  if (typeof resourceVersion !== 'string') throw new TypeError('the list has no resourceVersion');
  return {
    items: (items ?? []).map(decodeObject),
    resourceVersion,
    continueToken: typeof token === 'string' && token !== '' ? token : undefined,
  };
}
