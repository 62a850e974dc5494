import { fileURLToPath } from 'node:url';
import type { AgentAnswer, AgentConfig, AgentRequest } from './api-agent.ts';
import type { Machine } from './machine.ts';
import type { LabProcess } from './process.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
  readonly server: string;
  readonly isRepeated: boolean;
}

type AskOptions = Partial<Pick<AgentRequest, 'body' | 'contentType' | 'server' | 'timeoutMs'>>;

/** The API answered with an error status. */
export class ApiError extends Error {
  readonly status: number;
  constructor(method: string, path: string, answer: ApiAnswer) {
    super(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 500)}`);
    this.name = 'ApiError';
    this.status = answer.status;
  }
}

const mergePatch = 'application/merge-patch+json';

/** The lab's own view of its API servers, as an administrator, through an agent on one of its machines. */
export class ApiClient {
  readonly #agent: LabProcess;
  readonly #waiting = new Map<number, (answer: AgentAnswer) => void>();
  #lastId = 0;

  constructor(machine: Machine, config: AgentConfig) {
    const script = fileURLToPath(new URL('api-agent.ts', import.meta.url));
    this.#agent = machine.start('api-agent', [process.execPath, script, JSON.stringify(config)], {
      pipe: true,
    });
    this.#agent.lines().on('line', (line) => {
      const answer = JSON.parse(line) as AgentAnswer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    // The agent ended between two calls; the next one says so.
    this.#agent.child.stdin?.on('error', () => undefined);
    void this.#agent.exited.then(() => {
      for (const [id, resolve] of this.#waiting) resolve({ id, error: 'the agent ended' });
    });
  }

  /** Any call; resolves with any status, rejects when no server answers. */
  async ask(method: string, path: string, options: AskOptions = {}): Promise<ApiAnswer> {
    const id = ++this.#lastId;
    if (!this.#agent.alive) throw new Error(`${method} ${path}: the agent ended`);
    const answer = await new Promise<AgentAnswer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#agent.child.stdin?.write(`${JSON.stringify({ ...options, id, method, path })}\n`);
    });
    if ('error' in answer) throw new Error(`${method} ${path}: ${answer.error}`);
    return answer;
  }

  /** Any call that must succeed; the decoded answer. An error status is an ApiError. */
  async call<T>(method: string, path: string, options: AskOptions = {}): Promise<T> {
    const answer = await this.ask(method, path, options);
    if (answer.status >= 300) throw new ApiError(method, path, answer);
    return JSON.parse(answer.body) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  async create<T>(path: string, body: unknown): Promise<T> {
    const answer = await this.ask('POST', path, { body });
    const { metadata } = body as { readonly metadata?: { readonly name?: string } };
    // The server that kept silent has made it.
    if (answer.status === 409 && answer.isRepeated && metadata?.name !== undefined) {
      return this.get<T>(`${path}/${metadata.name}`);
    }
    if (answer.status >= 300) throw new ApiError('POST', path, answer);
    return JSON.parse(answer.body) as T;
  }

  /** JSON merge patch. */
  patch<T>(path: string, body: unknown): Promise<T> {
    return this.call<T>('PATCH', path, { body, contentType: mergePatch });
  }

  /** True when there was something to delete. */
  async delete(path: string): Promise<boolean> {
    const answer = await this.ask('DELETE', path);
    if (answer.status === 404) return answer.isRepeated;
    if (answer.status >= 300) throw new ApiError('DELETE', path, answer);
    return true;
  }

  /** Does this server (or any) say that it is ready? */
  async ready(server?: string): Promise<boolean> {
    const options = server === undefined ? {} : { server };
    return this.ask('GET', '/readyz', { ...options, timeoutMs: 2_000 }).then(
      (answer) => answer.status === 200,
      () => false,
    );
  }
}
