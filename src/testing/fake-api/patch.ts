import { isDeepStrictEqual } from 'node:util';
import { badRequest, invalid } from './failure.ts';
import { isJson } from './json.ts';
import type { Json } from './json.ts';

/** RFC 7386: null removes, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const result: Record<string, unknown> = isJson(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** Server-side apply, simplified: objects merge, lists and values replace. */
export function applyPatch(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const result: Record<string, unknown> = isJson(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) result[key] = applyPatch(result[key], value);
  return result;
}

/** RFC 6902. Works on a copy; throws ApiFailure when an operation cannot be done. */
export function jsonPatch(target: Json, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw badRequest('a JSON patch is a list of operations');
  const root = { root: structuredClone(target) as unknown };
  for (const operation of operations as readonly unknown[]) {
    if (!isJson(operation)) throw badRequest('a JSON patch operation is an object');
    applyOperation(root, operation);
  }
  return root.root;
}

function applyOperation(root: { root: unknown }, operation: Json): void {
  const path = pointer(operation.path);
  switch (operation.op) {
    case 'add':
      put(root, path, operation.value, false);
      return;
    case 'replace':
      read(root, path);
      put(root, path, operation.value, true);
      return;
    case 'remove':
      remove(root, path);
      return;
    case 'copy':
      put(root, path, structuredClone(read(root, pointer(operation.from))), false);
      return;
    case 'move': {
      const from = pointer(operation.from);
      const value = read(root, from);
      remove(root, from);
      put(root, path, value, false);
      return;
    }
    case 'test':
      if (!isDeepStrictEqual(read(root, path), operation.value)) throw failed(path, 'testing value failed');
      return;
    default:
      throw badRequest(`unknown JSON patch operation ${JSON.stringify(operation.op)}`);
  }
}

/** RFC 6901 */
function pointer(value: unknown): readonly string[] {
  if (typeof value !== 'string' || (value !== '' && !value.startsWith('/')))
    throw badRequest('bad JSON pointer');
  return value
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(root: { root: unknown }, path: readonly string[]): unknown {
  let here = root.root;
  for (const step of path) {
    if (Array.isArray(here) && Number(step) < here.length) here = (here as readonly unknown[])[Number(step)];
    else if (isJson(here) && step in here) here = here[step];
    else throw failed(path, 'there is no such value');
  }
  return here;
}

function put(root: { root: unknown }, path: readonly string[], value: unknown, replaces: boolean): void {
  const last = path.at(-1);
  if (last === undefined) {
    root.root = value;
    return;
  }
  const parent = read(root, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    if (!Number.isInteger(index) || index < 0 || index > parent.length) throw failed(path, 'no such index');
    parent.splice(index, replaces ? 1 : 0, value);
  } else if (isJson(parent)) Reflect.set(parent, last, value);
  else throw failed(path, 'its parent is not a container');
}

function remove(root: { root: unknown }, path: readonly string[]): void {
  read(root, path);
  const last = path.at(-1) ?? '';
  const parent = read(root, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isJson(parent)) Reflect.deleteProperty(parent, last);
}

function failed(path: readonly string[], why: string) {
  return invalid('patch', `/${path.join('/')}`, why);
}
