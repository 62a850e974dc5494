import type { IpvsDestination, IpvsService, IpvsServiceKey } from '../../../linux/index.ts';

/** A virtual service with its destinations, as it should be or as it is. */
export interface ServiceState extends IpvsService {
  readonly destinations: readonly IpvsDestination[];
}

export type IpvsStep =
  | { readonly do: 'add service' | 'change service'; readonly service: IpvsService }
  | { readonly do: 'remove service'; readonly key: IpvsServiceKey }
  | {
      readonly do: 'add destination' | 'change destination' | 'remove destination';
      readonly key: IpvsServiceKey;
      readonly destination: IpvsDestination;
    };

/** From what is there to what should be, destinations added before others are removed. Pure. */
export function planService(
  desired: ServiceState | undefined,
  observed: ServiceState | undefined,
): readonly IpvsStep[] {
  if (desired === undefined)
    return observed === undefined ? [] : [{ do: 'remove service', key: observed.key }];
  const { key, scheduler } = desired;
  const service = { key, scheduler };
  const there = new Map((observed?.destinations ?? []).map((each) => [destinationKey(each), each]));
  const wanted = new Set(desired.destinations.map(destinationKey));
  return [
    ...(observed === undefined
      ? [{ do: 'add service', service } as const]
      : observed.scheduler === scheduler
        ? []
        : [{ do: 'change service', service } as const]),
    ...desired.destinations.flatMap((destination): readonly IpvsStep[] => {
      const found = there.get(destinationKey(destination));
      if (found === undefined) return [{ do: 'add destination', key, destination }];
      const isSame = found.weight === destination.weight && found.forwarding === destination.forwarding;
      return isSame ? [] : [{ do: 'change destination', key, destination }];
    }),
    ...[...there.values()]
      .filter((each) => !wanted.has(destinationKey(each)))
      .map((destination): IpvsStep => ({ do: 'remove destination', key, destination })),
  ];
}

function destinationKey({ address, port }: IpvsDestination): string {
  return `${address} ${port}`;
}

export function serviceKeyText(key: IpvsServiceKey): string {
  return 'mark' in key ? `mark ${key.mark} ${key.family}` : `${key.address} ${key.port}`;
}
