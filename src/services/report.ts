import type { Entry } from './catalogue.ts';
import { gate } from './decide.ts';
import { countEndpoints } from './endpoints.ts';
import type { Published } from './publisher.ts';
import { annotation, type EndpointSlice, type LeaseKey, type ServiceKey } from './types.ts';

/** One Service for people who look at the state of the process. */
export interface ServiceReport {
  readonly service: ServiceKey;
  readonly uid: string;
  readonly isActive: boolean;
  readonly vips: readonly string[];
  readonly lease: LeaseKey | undefined;
  readonly slices: number;
  /** Endpoints that serve. */
  readonly endpoints: number;
  /** `advertised`, or why not, in a word of the closed list and in words. */
  readonly state: string;
}

/** Whether it will move soon is not told. */
const unmoved = { mayMove: false, isSettled: () => true };

export interface ReportInput {
  readonly entry: Entry;
  readonly slices: readonly EndpointSlice[];
  readonly published: Published | undefined;
  /** For which this node campaigns because of it. */
  readonly lease: LeaseKey | undefined;
  /** The one that decides about it, whether this node may serve it or not. */
  readonly deciding: LeaseKey | undefined;
  /** Of the deciding one. */
  readonly holder: string | undefined;
  readonly node: string;
}

export function describeService(input: ReportInput): ServiceReport {
  const { entry, slices, published, lease, node } = input;
  const wanted = entry.claim.kind === 'claim' ? entry.claim.addresses : [];
  return {
    service: entry.key,
    uid: entry.service.metadata.uid ?? '',
    isActive: published !== undefined,
    vips: published?.places.map(({ vip }) => vip) ?? wanted,
    lease: published?.lease ?? lease,
    slices: slices.length,
    endpoints: countEndpoints(slices, node).anywhere,
    state: stateOf(input),
  };
}

function stateOf(input: ReportInput): string {
  const { entry, slices, published, lease, deciding, holder, node } = input;
  const { claim, service } = entry;
  if (published !== undefined)
    return published.silent ? 'preserved after the loss of its lease' : 'advertised';
  const obstacle = claim.kind === 'withhold' ? claim : gate({ service, slices }, node, unmoved);
  if (obstacle !== undefined) {
    // Nobody who has an endpoint can get it then.
    const isStuck = obstacle.servesElsewhere === true && holder === node;
    const held = isStuck && deciding !== undefined ? `, which holds ${deciding}` : '';
    return `${obstacle.reason} (${obstacle.message}${held})`;
  }
  if (lease === undefined) return 'no place on this node';
  if (holder === undefined || holder === '') return 'waiting for its lease';
  const { [annotation.leaseName]: asked = '', [annotation.vipHost]: host } =
    service.metadata.annotations ?? {};
  const isTakenUp = asked === '' || host === holder || holder === node;
  return isTakenUp ? `held by ${holder}` : `held by ${holder}, which has not taken it up: lease ${lease}`;
}
