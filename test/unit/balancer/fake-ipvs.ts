import { errnoOf, KernelError } from '../../../src/linux/errors.ts';
import type {
  Ipvs,
  IpvsConnection,
  IpvsDestination,
  IpvsService,
  IpvsServiceKey,
} from '../../../src/linux/index.ts';
import { serviceKeyText } from '../../../src/node/forwarding/ipvs/plan.ts';

interface Held {
  scheduler: string;
  readonly key: IpvsServiceKey;
  readonly destinations: Map<string, IpvsDestination>;
}

/** IPVS as it is with `expire_nodest_conn`: with a destination go its connections, and nobody is told. */
export class FakeIpvs implements Ipvs {
  readonly held = new Map<string, Held>();
  clients: readonly IpvsConnection[] = [];
  missingSchedulers = new Set<string>();

  services(): Promise<readonly IpvsService[]> {
    return Promise.resolve([...this.held.values()]);
  }

  service(key: IpvsServiceKey): IpvsService | undefined {
    return this.held.get(serviceKeyText(key));
  }

  destinations(key: IpvsServiceKey): Promise<readonly IpvsDestination[]> {
    return Promise.resolve([...this.find(key).destinations.values()]);
  }

  addService({ key, scheduler }: IpvsService): void {
    if (this.missingSchedulers.has(scheduler)) {
      const kernelText = `IPVS has no scheduler ${scheduler}`;
      throw new KernelError({ op: 'use IPVS', errno: errnoOf.EOPNOTSUPP, kernelText });
    }
    if (this.service(key) !== undefined)
      throw new KernelError({ op: 'add service', errno: errnoOf.EEXIST, object: serviceKeyText(key) });
    this.held.set(serviceKeyText(key), { key, scheduler, destinations: new Map() });
  }

  changeService({ key, scheduler }: IpvsService): void {
    this.find(key).scheduler = scheduler;
  }

  removeService(key: IpvsServiceKey): void {
    for (const destination of this.find(key).destinations.values()) this.removeDestination(key, destination);
    this.held.delete(serviceKeyText(key));
  }

  addDestination(key: IpvsServiceKey, destination: IpvsDestination): void {
    this.find(key).destinations.set(destination.address, destination);
  }

  changeDestination(key: IpvsServiceKey, destination: IpvsDestination): void {
    this.addDestination(key, destination);
  }

  removeDestination(key: IpvsServiceKey, { address }: Pick<IpvsDestination, 'address'>): void {
    this.find(key).destinations.delete(address);
    this.clients = this.clients.filter(({ server }) => server.address !== address);
  }

  connections(): readonly IpvsConnection[] {
    return this.clients;
  }

  close(): void {
    this.clients = [];
  }

  /** Services with their destinations, as text. */
  show(): readonly string[] {
    return [...this.held.values()].map(
      ({ key, scheduler, destinations }) =>
        `${serviceKeyText(key)} ${scheduler} → ${[...destinations.keys()].join(' ')}`,
    );
  }

  private find(key: IpvsServiceKey): Held {
    const found = this.held.get(serviceKeyText(key));
    if (found === undefined)
      throw new KernelError({ op: 'remove service', errno: errnoOf.ESRCH, object: serviceKeyText(key) });
    return found;
  }
}
