import { silentLogger, type Logger } from '../../../src/lib/log.ts';

/** Notes what is warned of, and why. */
export function listening(warnings: string[]): Logger {
  return {
    ...silentLogger,
    child: () => listening(warnings),
    warn: (message, fields) => warnings.push(`${message}: ${String(fields?.['reason'])}`),
  };
}
