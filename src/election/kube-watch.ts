import type { Lease, Reflector, ReflectorListener } from '../kube/types.ts';
import type { WatchLease } from './kube-store.ts';

/**
 * Turns a reflector over one Lease (a field selector on its name) into a `WatchLease`. The reflector
 * never ends by itself, so neither does the watch; its errors are its own to report.
 *
 * @param makeReflector builds a reflector that reports to the listener given.
 */
export function watchLeaseWith(
  makeReflector: (listener: ReflectorListener<Lease>) => Reflector<Lease>,
): WatchLease {
  return (onChange, signal) => {
    const reflector = makeReflector({
      synced: (items) => {
        const [lease] = items.values();
        // Absent from a list: the list's version is not told, so the machine reads for itself.
        onChange(lease);
      },
      changed: (_key, now) => {
        onChange(now);
      },
      removed: (_key, before) => {
        onChange(undefined, before.metadata.resourceVersion);
      },
    });
    void reflector.run(signal);
  };
}
