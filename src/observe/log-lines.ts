/** A line of the log, newline included, that is not made before it is written. */
export type LogLine = () => string;

/** So much is written at once. */
const maxBytes = 64 << 10;
/** So many lines of one turn are a crowd: a thousand VIPs move. */
const crowd = 64;
/** A crowd is over when no line has come for so long, or when it has lasted too long, or is too large. */
const quietMs = 50;
const maxHeldMs = 1000;
const maxHeld = 4096;
/** Lines of a crowd that are made in one turn. */
const atOnce = 512;

/**
 * Joins the lines of one turn of the event loop to one write. A write to a pipe is a system call that waits for the
 * reader, and making a line takes as long as announcing a VIP: those of a crowd are made when it is over.
 */
export class LogLines {
  private readonly write: (text: string) => void;
  private held: LogLine[] = [];
  /** Somebody will look at what is held. */
  private isArmed = false;
  private heldSince = 0;

  /** `write` takes whole lines. */
  constructor(write: (text: string) => void) {
    this.write = write;
  }

  add(line: LogLine): void {
    this.held.push(line);
    // The oldest: all of them would be a long turn, in the middle of what they tell of.
    if (this.held.length >= maxHeld) this.writeOut(this.held.splice(0, atOnce));
    if (this.isArmed) return;
    this.isArmed = true;
    this.heldSince = performance.now();
    setImmediate(() => {
      if (this.held.length < crowd) this.release();
      else this.wait(this.held.length);
    });
  }

  /** Writes what is held now; call it before the process ends. */
  flush(): void {
    this.writeOut(this.held.splice(0));
  }

  /** `seen`: how many were held when the wait began. */
  private wait(seen: number): void {
    setTimeout(() => {
      const isOver = this.held.length <= seen || performance.now() >= this.heldSince + maxHeldMs;
      if (isOver) this.release();
      else this.wait(this.held.length);
    }, quietMs).unref();
  }

  private release(): void {
    this.writeOut(this.held.splice(0, atOnce));
    this.isArmed = this.held.length > 0;
    if (this.isArmed) setImmediate(() => this.release());
  }

  private writeOut(lines: readonly LogLine[]): void {
    let text = '';
    for (const line of lines) {
      text += line();
      if (text.length < maxBytes) continue;
      this.write(text);
      text = '';
    }
    if (text !== '') this.write(text);
  }
}
