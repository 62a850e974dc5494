import type { Config } from '../config/index.ts';
import type { Logger } from '../lib/log.ts';
import {
  openHealthListener,
  openStatusListener,
  type HttpListener,
  type Metrics,
  type StatusDocument,
} from '../observe/index.ts';

/** How long a scrape in progress may hold up the end of the process. */
const CLOSE_MS = 500;

/** Opens what is configured. A port that is taken is logged and costs nothing but that page. */
export function openListeners(
  config: Config,
  metrics: Metrics,
  status: () => StatusDocument,
  notReady: () => readonly string[],
  log: Logger,
): { close(): Promise<void> } {
  const open = [
    openStatusListener({ address: config.prometheusHttpServer, metrics, status, notReady, log }),
    openHealthListener({ port: config.healthCheckPort, log }),
  ].filter((listener): listener is HttpListener => listener !== undefined);
  return {
    close: async () => {
      await Promise.all(open.map((listener) => listener.close(CLOSE_MS)));
    },
  };
}
