import type { Config } from '../config/index.ts';
import {
  boundedWriter,
  collectStatus,
  gather,
  renderDump,
  watchProcess,
  type StatusDocument,
} from '../observe/index.ts';
import { openListeners } from './listeners.ts';
import { hasControlPlaneElection } from './mode.ts';
import { readOwnTables } from './own-tables.ts';
import type { Parts } from './parts.ts';
import type { ServicesFeature } from './services.ts';
import { buildStatus } from './status.ts';

export interface Observing {
  /** The lease has been read, or the API server checked: from now on the process is ready. */
  ready(): void;
  /** Prints the state on stdout (SIGUSR1). */
  dump(): void;
  close(): Promise<void>;
}

/** What a control plane that has just started waits for. */
function firstObstacle(config: Config): string {
  if (hasControlPlaneElection(config)) return 'the lease has not been read yet';
  return config.enableBgp ? 'BGP is not configured yet' : 'the API server has not been checked yet';
}

/** Opens what lets people see the process: metrics, health, readiness, status, dump. */
export function startObserving(parts: Parts, services: ServicesFeature | undefined): Observing {
  const { clock, config, log, metrics, kernel } = parts;
  const startedAt = clock.now();
  const first = firstObstacle(config);
  const waiting = new Set(config.enableControlPlane ? [first] : []);
  const processWatch = watchProcess(metrics);
  const notReady = (): readonly string[] => {
    const obstacle = services?.operator.waitingFor();
    return obstacle === undefined ? [...waiting] : [...waiting, obstacle];
  };
  const status = (): StatusDocument => buildStatus(parts, services, startedAt, notReady());
  collectStatus(metrics, status);
  const dumpTo = boundedWriter(process.stdout, (dumps) => {
    log.warn('state dumps were not written: nobody read the ones before', { dumps });
  });
  const listeners = openListeners(config, metrics, status, notReady, log);
  return {
    ready: () => {
      waiting.clear();
    },
    dump: () => {
      void readOwnTables(kernel, config).then(async (tables) => {
        const snapshot = {
          config,
          status: status(),
          services: services?.operator.services(),
          tables,
          loop: processWatch.loopDelay(),
        };
        dumpTo(await gather(renderDump(snapshot)));
      });
    },
    close: async () => {
      processWatch.close();
      await listeners.close();
    },
  };
}
