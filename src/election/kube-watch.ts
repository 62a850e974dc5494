import type { Lease, Reflector, ReflectorListener } from '../kube/types.ts';
import type { WatchLease } from './kube-store.ts';

/**
 * Turns a reflector over one Lease (a field selector on its name) into a `WatchLease`. The reflector
 * never ends by itself, so neither does the watch; its errors are its own to report. Other Leases that it may tell of
 * are no news.
 *
 * @param makeReflector builds a reflector that reports to the listener given.
 */
export function watchLeaseWith(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  makeReflector: (listener: ReflectorListener<Lease>) => Reflector<Lease>,
): WatchLease {
  const own = `${namespace}/${name}`;
  return (onChange, signal) => {
    const reflector = makeReflector({
      synced: (items) => {
        // Absent from a list: the list's version is not told, so the machine reads for itself.
        onChange(items.get(own));
      },
      changed: (key, now) => {
        if (key === own) onChange(now);
      },
      removed: (key, before) => {
        if (key === own) onChange(undefined, before.metadata.resourceVersion);
      },
    });
    void reflector.run(signal);
  };
}
