/** So much is written at once even within a turn. */
const maxHeld = 64 << 10;

/**
 * Joins the lines of one turn of the event loop to one write. A write to a pipe is a system call that waits for
 * the reader: two thousand of them, when a thousand VIPs move, are time in which no VIP moves.
 */
export class LogLines {
  private readonly write: (text: string) => void;
  private held = '';
  private isArmed = false;

  /** `write` takes whole lines. */
  constructor(write: (text: string) => void) {
    this.write = write;
  }

  add(line: string): void {
    this.held += line;
    if (this.held.length >= maxHeld) this.flush();
    if (this.isArmed || this.held === '') return;
    this.isArmed = true;
    setImmediate(() => {
      this.isArmed = false;
      this.flush();
    });
  }

  /** Writes what is held now; call it before the process ends. */
  flush(): void {
    const text = this.held;
    this.held = '';
    if (text !== '') this.write(text);
  }
}
