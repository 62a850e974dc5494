import type { Family } from '../lib/ip.ts';
import { gate } from './decide.ts';
import type { EndpointSlice, Service } from './types.ts';

const staying = { mayMove: false, isSettled: () => true };

/**
 * The families in which this node may serve a Service where each node decides for itself: routers that
 * are told of a VIP send packets of its family, and only endpoints of that family can take them.
 */
export function servedFamilies(
  service: Service,
  slices: readonly EndpointSlice[],
  node: string,
): ReadonlySet<Family> {
  const families = ([4, 6] as const).filter((family) => {
    const own = slices.filter(
      ({ addressType }) => addressType === undefined || addressType === `IPv${family}`,
    );
    return gate({ service, slices: own }, node, staying) === undefined;
  });
  return new Set(families);
}
