export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * The lowest level to print for a `vip_loglevel` number. The numbers are those of Go's log/slog: debug -4,
 * info 0, warn 4, error 8; a number in between prints from the next level up, above 8 nothing is printed.
 */
export function logLevel(number: number): LogLevel {
  if (number <= -4) return 'debug';
  if (number <= 0) return 'info';
  if (number <= 4) return 'warn';
  return number <= 8 ? 'error' : 'silent';
}
