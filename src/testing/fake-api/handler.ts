import type { TLSSocket } from 'node:tls';
import { ApiFailure, badRequest } from './failure.ts';
import { FaultTable } from './faults.ts';
import type { FaultEffect, Verb } from './faults.ts';
import { isJson } from './json.ts';
import type { Json } from './json.ts';
import { ListPages } from './list-pages.ts';
import type { Request, Response } from './listener.ts';
import { RestRules } from './rest.ts';
import type { Writer } from './rest.ts';
import { parseRoute } from './route.ts';
import type { Route } from './route.ts';
import type { ObjectStore } from './store.ts';
import { WatchFeeds } from './watch-feeds.ts';

export interface RequestRecord {
  readonly verb: Verb;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly authority: string;
  readonly authorization: string;
  /** Common name of the client's certificate; '' when it showed none. */
  readonly clientName: string;
}

/** Requests remembered for tests. */
const MAX_RECORDS = 2000;
const MAX_BODY = 8 << 20;

const probes = new Set(['/healthz', '/livez', '/readyz']);
const version = { major: '1', minor: '36', gitVersion: 'v1.36.3', platform: 'linux/amd64' };

/** Turns requests into answers; one for all listeners of a fake. */
export class ApiHandler {
  readonly faults = new FaultTable();
  readonly feeds: WatchFeeds;
  readonly records: RequestRecord[] = [];
  /** Bearer tokens that are let in; undefined lets everybody in. */
  tokens: ReadonlySet<string> | undefined;
  private readonly rules: RestRules;
  private readonly pages: ListPages;

  constructor(store: ObjectStore) {
    this.rules = new RestRules(store);
    this.pages = new ListPages(store);
    this.feeds = new WatchFeeds(store);
  }

  handle(request: Request, response: Response): void {
    response.on('error', () => undefined);
    this.answer(request, response).catch((error: unknown) => {
      const failure =
        error instanceof ApiFailure ? error : new ApiFailure(500, 'InternalError', String(error));
      sendFailure(response, failure);
    });
  }

  private async answer(request: Request, response: Response): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const route = parseRoute(url.pathname);
    const verb = verbOf(request.method ?? 'GET', route, url);
    this.remember(request, verb, url);
    const effect = this.faults.take(verb, `${url.pathname}${url.search}`);
    if (effect !== undefined && (await applyFault(effect, request, response))) return;
    this.authenticate(request);
    if (route === undefined) {
      sendProbe(url.pathname, response);
      return;
    }
    if (verb === 'watch') {
      this.feeds.open(route, url.searchParams, response, effect !== undefined && 'silent' in effect);
      return;
    }
    const { status, body } = await this.run(verb, route, url, request);
    sendJson(response, status, body);
  }

  private async run(
    verb: Verb,
    route: Route,
    url: URL,
    request: Request,
  ): Promise<{ readonly status: number; readonly body: Json }> {
    if (verb === 'get') return { status: 200, body: this.rules.get(route) };
    if (verb === 'list') return { status: 200, body: this.pages.list(route, url.searchParams) };
    const text = await readText(request);
    if (verb === 'delete')
      return { status: 200, body: this.rules.delete(route, text === '' ? {} : parseBody(text)) };
    const writer = writerOf(request, url);
    if (verb === 'patch') {
      const type = (request.headers['content-type'] ?? '').split(';')[0] ?? '';
      return bodyOf(this.rules.patch(route, type, parseJson(text), writer));
    }
    const body = parseBody(text);
    if (verb === 'create') return bodyOf(this.rules.create(route, body, writer));
    if (verb === 'update') return bodyOf(this.rules.update(route, body, writer));
    throw new ApiFailure(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
    );
  }

  private authenticate(request: Request): void {
    if (this.tokens === undefined) return;
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    if (scheme === 'Bearer' && token !== undefined && this.tokens.has(token)) return;
    throw new ApiFailure(401, 'Unauthorized', 'Unauthorized');
  }

  private remember(request: Request, verb: Verb, url: URL): void {
    if (this.records.length >= MAX_RECORDS) this.records.shift();
    this.records.push({
      verb,
      method: request.method ?? '',
      path: url.pathname,
      query: url.search,
      authority: String(request.headers[':authority'] ?? request.headers.host ?? ''),
      authorization: request.headers.authorization ?? '',
      clientName: clientNameOf(request),
    });
  }
}

function clientNameOf(request: Request): string {
  const socket = 'stream' in request ? request.stream.session?.socket : request.socket;
  // Only a TLS socket has it, and behind HTTP/2's proxy of the socket `in` does not see it.
  const certificate = (socket as Partial<TLSSocket> | undefined)?.getPeerX509Certificate?.();
  return certificate?.subject.replace('CN=', '') ?? '';
}

function verbOf(method: string, route: Route | undefined, url: URL): Verb {
  if (route === undefined) return 'raw';
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return 'delete';
    default: {
      if (['1', 'true'].includes(url.searchParams.get('watch') ?? '')) return 'watch';
      return route.name === '' ? 'list' : 'get';
    }
  }
}

/** True when the fault has dealt with the request. */
async function applyFault(effect: FaultEffect, request: Request, response: Response): Promise<boolean> {
  if ('status' in effect) {
    const { status, reason = '', message = 'a fault of the fake API server', retryAfterSeconds } = effect;
    throw new ApiFailure(status, reason, message, retryAfterSeconds);
  }
  if ('stall' in effect) return true;
  if ('close' in effect) {
    if ('stream' in request && 'session' in request.stream) request.stream.session?.destroy();
    else request.socket.destroy();
    return true;
  }
  if ('garbage' in effect) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(effect.garbage);
    response.end();
    return true;
  }
  if ('delayMs' in effect) await new Promise((resolve) => setTimeout(resolve, effect.delayMs));
  return false;
}

function sendProbe(path: string, response: Response): void {
  if (path === '/version') {
    sendJson(response, 200, version);
    return;
  }
  if (!probes.has(path))
    throw new ApiFailure(404, 'NotFound', 'the server could not find the requested resource');
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.write('ok');
  response.end();
}

function bodyOf(outcome: { readonly status: number; readonly object: Json }): {
  readonly status: number;
  readonly body: Json;
} {
  return { status: outcome.status, body: outcome.object };
}

function writerOf(request: Request, url: URL): Writer {
  const agent = (request.headers['user-agent'] ?? '').split('/')[0] ?? '';
  const isApply = (request.headers['content-type'] ?? '').includes('apply-patch');
  return { manager: url.searchParams.get('fieldManager') ?? (isApply ? '' : agent) };
}

async function readText(request: Request): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) throw new ApiFailure(413, 'RequestEntityTooLarge', 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badRequest(`the object provided is unrecognized: ${String(error)}`);
  }
}

function parseBody(text: string): Json {
  const value = parseJson(text);
  if (!isJson(value)) throw badRequest('the body is not a JSON object');
  return value;
}

export function sendJson(response: Response, status: number, body: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.write(JSON.stringify(body));
  response.end();
}

function sendFailure(response: Response, failure: ApiFailure): void {
  if (response.headersSent) return;
  const { retryAfterSeconds } = failure;
  response.writeHead(failure.status, {
    'content-type': 'application/json',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  });
  response.write(JSON.stringify(failure.toStatus()));
  response.end();
}
