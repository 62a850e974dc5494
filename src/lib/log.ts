/** Keys come from the glossary: vip, link, service, node, peer, lease, owner, reason, error. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What the rooms log to. Machines and codecs never log; drivers and reconcilers log a change once. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `component` to every line. */
  child(component: string): Logger;
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
