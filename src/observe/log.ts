import type { Clock } from '../lib/clock.ts';
import type { LogFields, Logger } from '../lib/log.ts';
import { formatRecord, levelNumber } from './log-format.ts';
import type { LogFormat, LogLevel, LogRecord } from './log-format.ts';
import type { LogLine } from './log-lines.ts';
import { Fold } from './log-fold.ts';

export interface LoggerOptions {
  /** `vip_loglevel`: −4 debug, 0 info, 4 warn, 8 error; any number between silences what is below it. */
  readonly level: number;
  readonly format: LogFormat;
  /** Takes whole lines; may make them later, in the order in which they came. */
  readonly write: (line: LogLine) => void;
  readonly clock: Clock;
}

/** The program's log, with what can be switched while it runs. */
export interface RootLogger extends Logger {
  setLevel(level: number): void;
  /** Debug lines of one component (and its children, named `parent/child`) whatever the level. */
  setDebug(component: string, on: boolean): void;
  /** Writes what is folded away; call before the process ends. */
  flush(): void;
}

/** A log on `write` in the form of kube-vip's (Go's default) or as JSON lines; repeated warnings and errors are folded. */
export function createLogger(options: LoggerOptions): RootLogger {
  let level = options.level;
  const debugged = new Set<string>();
  const fold = new Fold<LogRecord>(options.clock, (record, repeated) => {
    // What the fold kept back is dated when it is written, not when it was first seen.
    const wall = repeated === 0 ? record.wall : options.clock.wall();
    options.write(() => formatRecord({ ...record, wall, repeated }, options.format));
  });

  const isDebugged = (component: string | undefined): boolean =>
    component !== undefined &&
    component.split('/').some((_, index, parts) => debugged.has(parts.slice(0, index + 1).join('/')));

  const log = (
    component: string | undefined,
    lineLevel: LogLevel,
    message: string,
    fields: LogFields = {},
  ): void => {
    const wanted = levelNumber[lineLevel] >= level || (lineLevel === 'debug' && isDebugged(component));
    if (!wanted) return;
    const record: LogRecord = {
      wall: options.clock.wall(),
      level: lineLevel,
      component,
      message,
      fields,
      repeated: 0,
    };
    // Trouble repeats itself; the story of the run (info) and its details (debug) keep their order, line by line.
    if (lineLevel === 'warn' || lineLevel === 'error')
      fold.add(formatRecord({ ...record, wall: 0 }, 'text'), record);
    else options.write(() => formatRecord(record, options.format));
  };

  const loggerOf = (component: string | undefined): Logger => ({
    debug: (message, fields) => log(component, 'debug', message, fields),
    info: (message, fields) => log(component, 'info', message, fields),
    warn: (message, fields) => log(component, 'warn', message, fields),
    error: (message, fields) => log(component, 'error', message, fields),
    child: (name) => loggerOf(component === undefined ? name : `${component}/${name}`),
  });

  return {
    ...loggerOf(undefined),
    setLevel: (next) => {
      level = next;
    },
    setDebug: (component, on) => {
      if (on) debugged.add(component);
      else debugged.delete(component);
    },
    flush: () => fold.flush(),
  };
}
