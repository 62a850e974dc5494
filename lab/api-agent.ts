// Runs inside a lab machine: answers API calls asked for on standard input, one JSON object per line, on standard
// output. A process belongs to one network namespace, so the lab's owner cannot call the lab's API servers itself.
import http2 from 'node:http2';
import { createInterface } from 'node:readline';

export interface AgentConfig {
  /** Tried in this order. */
  readonly servers: readonly string[];
  readonly ca?: string;
  readonly token?: string;
}

export interface AgentRequest {
  readonly id: number;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Ask this server only. */
  readonly server?: string;
  readonly timeoutMs?: number;
}

export type AgentAnswer =
  | {
      readonly id: number;
      readonly status: number;
      readonly body: string;
      readonly server: string;
      /** Another server was asked before and kept silent: it may have done what was asked. */
      readonly isRepeated: boolean;
    }
  | { readonly id: number; readonly error: string };

const answerMs = 20_000;
/** For one that others can stand in for. */
const shortAnswerMs = 3_000;

let lastGood: string | undefined;
const sessions = new Map<string, http2.ClientHttp2Session>();

function sessionFor(server: string, config: AgentConfig): http2.ClientHttp2Session {
  const known = sessions.get(server);
  if (known !== undefined && !known.closed && !known.destroyed) return known;
  const session = http2.connect(server, config.ca === undefined ? {} : { ca: config.ca });
  session.on('error', () => sessions.delete(server));
  session.on('close', () => sessions.delete(server));
  sessions.set(server, session);
  return session;
}

function call(
  server: string,
  config: AgentConfig,
  request: AgentRequest,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const session = sessionFor(server, config);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      // A server that does not answer is asked over a new connection next time.
      session.destroy();
      sessions.delete(server);
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new Error(`no answer from ${server}`));
    }, request.timeoutMs ?? answerMs);
    session.once('error', fail);
    const stream = session.request(
      {
        ':method': request.method,
        ':path': request.path,
        accept: 'application/json',
        ...(config.token === undefined ? {} : { authorization: `Bearer ${config.token}` }),
        ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
      },
      // The default depends on the method: a DELETE would have no body.
      { endStream: request.body === undefined },
    );
    let status = 0;
    let body = '';
    stream.setEncoding('utf8');
    stream.on('response', (headers) => (status = headers[':status'] ?? 0));
    stream.on('data', (chunk: string) => (body += chunk));
    stream.on('error', fail);
    stream.on('end', () => {
      if (status === 0) {
        fail(new Error(`${server} closed the stream without an answer`));
        return;
      }
      clearTimeout(timer);
      session.off('error', fail);
      resolve({ status, body });
    });
    if (request.body !== undefined) stream.end(JSON.stringify(request.body));
  });
}

async function answer(config: AgentConfig, request: AgentRequest): Promise<AgentAnswer> {
  // The one that answered last comes first: after a power cut only one call pays for the dead one.
  const byLuck = [...config.servers].sort((a, b) => Number(b === lastGood) - Number(a === lastGood));
  const servers = request.server === undefined ? byLuck : [request.server];
  let last = 'no server';
  for (const [index, server] of servers.entries()) {
    const patience =
      index < servers.length - 1 ? Math.min(request.timeoutMs ?? answerMs, shortAnswerMs) : request.timeoutMs;
    try {
      const result = await call(server, config, {
        ...request,
        ...(patience === undefined ? {} : { timeoutMs: patience }),
      });
      lastGood = server;
      return { id: request.id, server, isRepeated: index > 0, ...result };
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
  }
  return { id: request.id, error: last };
}

const config = JSON.parse(process.argv[2] ?? '') as AgentConfig;
for await (const line of createInterface({ input: process.stdin })) {
  void answer(config, JSON.parse(line) as AgentRequest).then((result) => {
    process.stdout.write(`${JSON.stringify(result)}\n`);
  });
}
process.exit(0);
