/** Runs `body` with what `open` gives, and closes that whatever happens. */
export async function closing<T extends { close(): void | Promise<void> }>(
  open: () => T | Promise<T>,
  body: (opened: T) => Promise<void>,
): Promise<void> {
  const opened = await open();
  try {
    await body(opened);
  } finally {
    await opened.close();
  }
}
