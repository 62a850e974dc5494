/** Nobody needs as many addresses for one thing; an annotation has room for a hundred thousand, which is the time of all others. */
export const maxListed = 64;

export interface Listed {
  readonly items: readonly string[];
  readonly hasMore: boolean;
}

/** The items of a comma list, trimmed, without those that are empty: the first ones, and whether there are more. */
export function listedItems(text: string): Listed {
  const parts = text.split(',', maxListed + 1);
  const items = parts
    .slice(0, maxListed)
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return { items, hasMore: parts.length > maxListed };
}
