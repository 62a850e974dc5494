import type { Logger } from '../lib/log.ts';
import { openHttpListener, parseListenAddress, plainReply } from './http-listener.ts';
import type { HttpListener, Reply } from './http-listener.ts';
import { METRICS_CONTENT_TYPE } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { statusJson } from './status-json.ts';
import type { StatusDocument } from './status.ts';

export interface StatusListenerOptions {
  /** The setting `prometheus_server`; empty means no listener. */
  readonly address: string;
  readonly metrics: Metrics;
  readonly status: () => StatusDocument;
  /** Why the process is not ready; asked for often, so it must not cost what the status does. */
  readonly notReady: () => readonly string[];
  readonly log: Logger;
}

/**
 * The listener for `/metrics`, `/status`, `/healthz` and `/readyz`; any other path gets a small page
 * with links. undefined when the address is empty, or not an address (logged).
 */
export function openStatusListener(options: StatusListenerOptions): HttpListener | undefined {
  const { address, metrics, status, notReady, log } = options;
  if (address === '') return undefined;
  const listen = parseListenAddress(address);
  if (listen === undefined) {
    log.error('metrics listener cannot listen; going on without it', { address, reason: 'not host:port' });
    return undefined;
  }
  const answer = (path: string): Reply => {
    switch (path) {
      case '/metrics':
        return { status: 200, type: METRICS_CONTENT_TYPE, body: metrics.exposition() };
      case '/status':
        return { status: 200, type: 'application/json', body: statusJson(status()) };
      case '/healthz':
        return plainReply(200, 'OK');
      case '/readyz':
        return readiness(notReady());
      default:
        return { status: 200, type: 'text/html; charset=utf-8', body: page };
    }
  };
  return openHttpListener({ name: 'metrics listener', listen, answer, log });
}

function readiness(notReady: readonly string[]): Reply {
  return notReady.length === 0 ? plainReply(200, 'OK') : plainReply(503, `${notReady.join('\n')}\n`);
}

export interface HealthListenerOptions {
  /** The setting `health_check_port`; 0 means no listener. */
  readonly port: number;
  readonly log: Logger;
}

/** The listener of `health_check_port`: `/healthz` is 200 `OK` as long as the process lives, all else 404. */
export function openHealthListener({ port, log }: HealthListenerOptions): HttpListener | undefined {
  if (port === 0) return undefined;
  return openHttpListener({
    name: 'health listener',
    listen: { host: undefined, port },
    answer: (path) => (path === '/healthz' ? plainReply(200, 'OK') : plainReply(404, 'not found\n')),
    log,
  });
}

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>kube-vip</title></head>
<body>
<h1>kube-vip</h1>
<ul>
<li><a href="/metrics">Metrics</a></li>
<li><a href="/status">Status</a></li>
<li><a href="/healthz">Alive</a></li>
<li><a href="/readyz">Ready</a></li>
</ul>
</body>
</html>
`;
