import { addressContract } from './addresses.ts';
import { eventContract } from './events.ts';
import { packetContract } from './packets.ts';
import { routeContract } from './routes.ts';
import type { OpenSubject } from './subject.ts';

export { eventContract, packetContract };
export type { KernelSubject, OpenSubject } from './subject.ts';

/** Everything a Kernel promises, as tests: run on the fake and on the real one, so that the fake cannot lie. */
export function kernelContract(name: string, open: OpenSubject): void {
  addressContract(name, open);
  eventContract(name, open);
  routeContract(name, open);
  packetContract(name, open);
}
