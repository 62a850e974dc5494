import { insiders, openRooms, publicFiles, rooms } from './rooms.ts';

/** One import statement: who imports what, and whether types only. Paths are relative to the repository. */
export interface Edge {
  readonly from: string;
  /** A file of this repository, `node:…`, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

/** The room a file belongs to; undefined for a file outside the house. */
export function roomOf(file: string): string | undefined {
  const parts = file.split('/');
  const top = parts[0] ?? '';
  if (top !== 'src') return parts.length > 1 && top in rooms ? top : undefined;
  if (file === 'src/main.ts') return 'main';
  const room = parts[1] ?? '';
  return parts.length > 2 ? room : undefined;
}

/** Why this import is forbidden, or undefined when it is fine. */
export function reasonAgainst(edge: Edge): string | undefined {
  const from = roomOf(edge.from);
  if (from === undefined) return undefined;
  const room = rooms[from];
  if (room === undefined)
    return `src/${from} is no room of the house: add it to the import table with its reason`;
  if (!isOwnFile(edge.to)) return packageReason(from, edge);
  const to = roomOf(edge.to);
  if (to === undefined || to === from) return undefined;
  return roomReason(from, to, edge);
}

function roomReason(from: string, to: string, edge: Edge): string | undefined {
  const room = rooms[from];
  if (room === undefined) return undefined;
  const typesOnly = room.types.includes(to);
  const free = room.may.includes(to) || (room.may.includes('*') && to !== 'test');
  const file = edge.to.slice(edge.to.lastIndexOf('/') + 1);
  if (!free && !typesOnly) {
    if (to === 'testing') return 'what ships never imports fakes';
    return `${from} may not import ${to}: ${room.why}`;
  }
  if (!openRooms.includes(to) && !insiders.includes(from) && !isSurface(edge.to))
    return `${to} is entered by ${publicFiles.join(', ')} only, not by its ${edge.to
      .split('/')
      .slice(edge.to.startsWith('src/') ? 2 : 1)
      .join('/')}`;
  if (typesOnly && !edge.typeOnly && file !== 'errors.ts')
    return `${from} may import only types of ${to} (import type): ${room.why}`;
  return undefined;
}

/** `src/<room>/<public file>`; a sub-folder is an inside of its room. */
function isSurface(path: string): boolean {
  const parts = path.split('/');
  return parts.length === (parts[0] === 'src' ? 3 : 2) && publicFiles.includes(parts.at(-1) ?? '');
}

function packageReason(from: string, edge: Edge): string | undefined {
  const room = rooms[from];
  if (room === undefined) return undefined;
  const allowed = room.packages.some(
    (name) =>
      name === '*' ||
      name === edge.to ||
      edge.to.startsWith(`${name}/`) ||
      (name === 'node:*' && edge.to.startsWith('node:')),
  );
  return allowed || edge.typeOnly ? undefined : `${from} may not use ${edge.to}: ${room.why}`;
}

function isOwnFile(path: string): boolean {
  return /^(src|lab|test|bench|tools)\//.test(path);
}

/** A cycle between rooms as `a → b → a`, or undefined. Type-only edges count too: they tie rooms together as firmly. */
export function roomCycle(edges: readonly Edge[]): readonly string[] | undefined {
  const next = new Map<string, Set<string>>();
  for (const edge of edges) {
    const from = roomOf(edge.from);
    const to = roomOf(edge.to);
    if (from === undefined || to === undefined || from === to) continue;
    next.set(from, (next.get(from) ?? new Set()).add(to));
  }
  const done = new Set<string>();
  const visit = (room: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room];
    if (done.has(room)) return undefined;
    for (const to of next.get(room) ?? []) {
      const found = visit(to, [...path, room]);
      if (found !== undefined) return found;
    }
    done.add(room);
    return undefined;
  };
  for (const room of next.keys()) {
    const found = visit(room, []);
    if (found !== undefined) return found;
  }
  return undefined;
}
