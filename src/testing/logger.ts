import type { LogFields, Logger } from '../lib/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A logger that hands every line to `take`, and is its own child. */
export function loggerTo(take: (level: LogLevel, message: string, fields: LogFields) => void): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      take(level, message, fields);
    };
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  };
  return log;
}

/** What was logged: `level message` of each line, and its fields. */
export interface RecordingLogger extends Logger {
  readonly lines: readonly string[];
  readonly fields: readonly LogFields[];
}

export function recordingLogger(): RecordingLogger {
  const lines: string[] = [];
  const all: LogFields[] = [];
  const log = loggerTo((level, message, fields) => {
    lines.push(`${level} ${message}`);
    all.push(fields);
  });
  return { ...log, lines, fields: all };
}
