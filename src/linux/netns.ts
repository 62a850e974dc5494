import * as sys from './sys.ts';

const CLONE_NEWNET = 0x40000000;
const own = '/proc/thread-self/ns/net';
const O_RDONLY = 0;

/** A network namespace: one made by `ip netns add`, the one a process is in, or any ns file. */
export type Namespace = { readonly name: string } | { readonly pid: number } | { readonly path: string };

export function namespacePath(namespace: Namespace): string {
  if ('path' in namespace) return namespace.path;
  return 'pid' in namespace ? `/proc/${namespace.pid}/ns/net` : `/run/netns/${namespace.name}`;
}

/**
 * Moves this thread into the namespace, for good. A namespace belongs to a thread: sockets made and
 * /proc/sys/net files opened synchronously from now on are inside; the threads that Node keeps for
 * asynchronous file and name operations stay outside.
 */
export function enterNamespace(namespace: Namespace): void {
  const path = namespacePath(namespace);
  const doing = { op: 'enter namespace', object: path };
  const fd = sys.open(doing, path, O_RDONLY);
  try {
    sys.setns(doing, fd, CLONE_NEWNET);
  } finally {
    sys.close(fd);
  }
}

/** Moves this thread into a new, empty network namespace, which ends with its last user. */
export function enterNewNamespace(): void {
  sys.unshare({ op: 'create namespace' }, CLONE_NEWNET);
}

/** Runs a synchronous function inside the namespace and comes back, also when it throws. */
export function inNamespace<T>(namespace: Namespace, action: () => T): T {
  const doing = { op: 'leave namespace', object: own };
  const home = sys.open(doing, own, O_RDONLY);
  try {
    enterNamespace(namespace);
    try {
      return action();
    } finally {
      sys.setns(doing, home, CLONE_NEWNET);
    }
  } finally {
    sys.close(home);
  }
}
