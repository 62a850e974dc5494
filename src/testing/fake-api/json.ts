/** A JSON object as it came over the wire. */
export type Json = Readonly<Record<string, unknown>>;

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at `key`, {} when it is missing or something else. */
export function child(value: Json, key: string): Json {
  const found = value[key];
  return isJson(found) ? found : {};
}

export function text(value: Json, key: string): string {
  const found = value[key];
  return typeof found === 'string' ? found : '';
}

/** The value at a dotted path, undefined when any step is missing. */
export function at(value: Json, dotted: string): unknown {
  let here: unknown = value;
  for (const step of dotted.split('.')) here = isJson(here) ? here[step] : undefined;
  return here;
}
