/** Characters of somebody else's text that a message shows. */
const maxShown = 80;

/** The beginning of a text that may be of any length. */
export function clip(text: string): string {
  return text.length <= maxShown ? text : `${text.slice(0, maxShown)}…`;
}

/** Somebody else's text in a message: in quotes, on one line, and not at any length. */
export function quote(text: string): string {
  return JSON.stringify(clip(text));
}
