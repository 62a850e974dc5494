/** A piece of work ends its turn of the event loop after so many milliseconds. */
const turnMs = 8;

export interface Turn {
  /** Milliseconds. */
  now(): number;
  /** Resolves when everything else that waits has had its turn. */
  next(): Promise<void>;
}

const eventLoop: Turn = {
  now: () => performance.now(),
  next: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};

/** Puts a text together over as many turns as it takes: what tells of ten thousand VIPs is made in many pieces. */
export async function gather(pieces: Iterable<string>, turn: Turn = eventLoop): Promise<string> {
  const done: string[] = [];
  let text: string[] = [];
  let end = turn.now() + turnMs;
  for (const piece of pieces) {
    if (piece !== '') text.push(piece);
    if (turn.now() < end) continue;
    // Joining all pieces at the end would be a long stretch of its own.
    done.push(text.join(''));
    text = [];
    await turn.next();
    end = turn.now() + turnMs;
  }
  return [...done, ...text].join('');
}
