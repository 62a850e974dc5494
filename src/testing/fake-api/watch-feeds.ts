import { ApiFailure, badRequest } from './failure.ts';
import type { Json } from './json.ts';
import type { Response } from './listener.ts';
import type { Route } from './route.ts';
import { selectionOf } from './selection.ts';
import type { ObjectStore } from './store.ts';

interface Feed {
  readonly response: Response;
  readonly route: Route;
  readonly wantsBookmarks: boolean;
  silence(): void;
  send(type: string, object: Json): void;
  end(): void;
  /** Its time is over. */
  timeout(): void;
}

/** Of the real API server: one a minute, and one so long before the end. */
const BOOKMARK_MS = 60_000;
const LAST_BOOKMARK_MS = 2000;
const USUAL_SECONDS = 1800;
/** Bytes a slow client may lag behind before its watch is ended. */
const MAX_LAG = 8 << 20;

/** The open watches. */
export class WatchFeeds {
  private readonly store: ObjectStore;
  private readonly feeds = new Set<Feed>();

  constructor(store: ObjectStore) {
    this.store = store;
  }

  get size(): number {
    return this.feeds.size;
  }

  open(route: Route, query: URLSearchParams, response: Response, isSilent: boolean): void {
    const asked = query.get('resourceVersion') ?? '';
    const since = asked === '' ? 0 : Number(asked);
    if (!Number.isInteger(since) || since < 0) throw badRequest(`invalid resource version: ${asked}`);
    const matches = selectionOf(route, query);
    const feed = this.start(route, response, query.get('allowWatchBookmarks') === 'true', isSilent);
    const seconds = Number(query.get('timeoutSeconds') ?? USUAL_SECONDS);
    const timers = [
      setInterval(() => {
        this.bookmark(feed);
      }, BOOKMARK_MS),
      setTimeout(
        () => {
          this.bookmark(feed);
        },
        Math.max(0, seconds * 1000 - LAST_BOOKMARK_MS),
      ),
      setTimeout(() => {
        feed.timeout();
      }, seconds * 1000),
    ];
    for (const timer of timers) timer.unref();
    let stop: (() => void) | undefined;
    response.once('close', () => {
      stop?.();
      this.feeds.delete(feed);
      for (const timer of timers) clearTimeout(timer);
    });
    try {
      if (since === 0) {
        for (const [, object] of this.store.list(route.collection))
          if (matches(object)) feed.send('ADDED', object);
      }
      const from = since === 0 ? this.store.revision : since;
      stop = this.store.watch(route.collection, from, matches, (event) => {
        feed.send(event.type, event.object);
      });
    } catch (error) {
      // Like the API server's watch cache: 200, then the error as an event.
      if (!(error instanceof ApiFailure)) throw error;
      feed.send('ERROR', error.toStatus() as Json);
      feed.end();
    }
  }

  /** Sends a bookmark now, to one feed or to all. */
  bookmark(only?: Feed): void {
    for (const feed of only === undefined ? this.feeds : [only]) {
      if (!feed.wantsBookmarks) continue;
      const { kind, group, version } = feed.route;
      feed.send('BOOKMARK', {
        kind: kind ?? 'Unknown',
        apiVersion: group === '' ? version : `${group}/${version}`,
        metadata: { resourceVersion: String(this.store.revision), creationTimestamp: null },
      });
    }
  }

  /** Ends all watches in order, as at their timeout. */
  endAll(): void {
    for (const feed of [...this.feeds]) feed.end();
  }

  /** The open watches stay open and hear nothing any more, not even that their time is over. */
  silenceAll(): void {
    for (const feed of this.feeds) feed.silence();
  }

  /** Sends an ERROR event on all watches, then ends them. */
  failAll(failure: ApiFailure): void {
    for (const feed of [...this.feeds]) {
      feed.send('ERROR', failure.toStatus() as Json);
      feed.end();
    }
  }

  /** Sends bytes as they are on all watches. */
  sendRaw(bytes: string): void {
    for (const feed of this.feeds) feed.response.write(bytes);
  }

  private start(route: Route, response: Response, wantsBookmarks: boolean, silent: boolean): Feed {
    let isSilent = silent;
    const feed: Feed = {
      response,
      route,
      wantsBookmarks,
      silence: () => {
        isSilent = true;
      },
      send: (type, object) => {
        if (isSilent || response.writableEnded) return;
        response.write(`${JSON.stringify({ type, object })}\n`);
        if (response.writableLength > MAX_LAG) response.destroy();
      },
      end: () => {
        response.end();
      },
      timeout: () => {
        if (!isSilent) response.end();
      },
    };
    this.feeds.add(feed);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders?.();
    return feed;
  }
}
