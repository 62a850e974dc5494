/**
 * metav1.MicroTime as client-go writes it: RFC 3339, UTC, always six fractional digits
 * (`2006-01-02T15:04:05.000000Z`).
 *
 * @param wallMs milliseconds since the epoch; fractions of a millisecond are kept to the microsecond.
 */
export function formatMicroTime(wallMs: number): string {
  const micros = Math.round(wallMs * 1000);
  const millis = Math.floor(micros / 1000);
  const rest = micros - millis * 1000;
  return `${new Date(millis).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}

/** metav1.Time: RFC 3339, UTC, whole seconds. */
export function formatTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** Milliseconds since the epoch, with microseconds as fraction; undefined when it is not RFC 3339. */
export function parseMicroTime(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const seconds = Date.parse(`${match[1] ?? ''}${match[3] ?? ''}`);
  const micros = Number((match[2] ?? '').padEnd(6, '0').slice(0, 6));
  return Number.isNaN(seconds) ? undefined : seconds + micros / 1000;
}
