import type { Family } from '../lib/ip.ts';
import { gate } from './decide.ts';
import { countEndpoints } from './endpoints.ts';
import type { EndpointSlice, Service } from './types.ts';

/** The families in which there is an endpoint at all: all nodes see the same. */
export function familiesAnywhere(slices: readonly EndpointSlice[]): ReadonlySet<Family> {
  return new Set(
    ([4, 6] as const).filter((family) => countEndpoints(ofFamily(slices, family), '').anywhere > 0),
  );
}

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
    return gate({ service, slices: ofFamily(slices, family) }, node, staying) === undefined;
  });
  return new Set(families);
}

function ofFamily(slices: readonly EndpointSlice[], family: Family): readonly EndpointSlice[] {
  return slices.filter(({ addressType }) => addressType === undefined || addressType === `IPv${family}`);
}
