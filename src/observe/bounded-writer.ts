/** What a writer needs of a stream. */
export interface Sink {
  write(text: string): unknown;
  /** What was taken and has not left yet, bytes. */
  readonly writableLength: number;
}

/** Far more than any reader that lives leaves lying, far less than a node has memory. */
const maxWaiting = 4 << 20;

/**
 * Writes to a stream as long as its reader keeps up. Node keeps for a pipe whatever its reader does not take; here texts
 * are dropped instead while too much lies there, and `dropped` hears how many once there is room again.
 */
export function boundedWriter(sink: Sink, dropped: (texts: number) => void): (text: string) => void {
  let lost = 0;
  return (text) => {
    if (sink.writableLength > maxWaiting) {
      lost++;
      return;
    }
    sink.write(text);
    if (lost === 0) return;
    const count = lost;
    lost = 0;
    dropped(count);
  };
}
