/** Colour when somebody looks, plain text when a file or a pipe does, or NO_COLOR is set. */
const coloured = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;

const paint =
  (code: number) =>
  (text: string): string =>
    coloured && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

/** Columns to draw in: the terminal's, within reason. */
export function terminalWidth(): number {
  return Math.min(120, Math.max(60, process.stdout.isTTY ? process.stdout.columns : 100));
}

/** 12345.6 → "12 346". */
export function formatMs(ms: number): string {
  return Math.round(ms)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ');
}
