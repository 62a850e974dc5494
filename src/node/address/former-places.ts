import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Ip } from '../../lib/ip.ts';
import type { Logger } from '../../lib/log.ts';
import { isKernelError } from '../../linux/errors.ts';
import type { Address, Kernel } from '../../linux/types.ts';
import type { Observed } from '../observed.ts';

export interface FormerPlacesParts {
  readonly kernel: Pick<Kernel, 'neighbours' | 'removeNeighbour'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observed: Pick<Observed, 'addressesOf'>;
  readonly isOurs: (address: Address) => boolean;
  readonly isBusy: () => boolean;
}

/** Reading the table of neighbours is nothing that a take-over should wait for. */
const SETTLE_MS = 1000;

/**
 * Takes out of this node's neighbour table what it says of VIPs that are here: who had them before. As long as a VIP is
 * here that means nothing. When it goes, a node that passes packets on, as those of a cluster do, would send what still
 * comes for it to that one, which sends it back, until its hops are used up and the client hears that the host is
 * unreachable. Without an entry the kernel asks, and what came meanwhile goes to the next holder when that answers.
 */
export class FormerPlaces {
  private readonly parts: FormerPlacesParts;
  private timer: Timer | undefined;

  constructor(parts: FormerPlacesParts) {
    this.parts = parts;
  }

  /** A VIP has become usable: all of them are looked at a moment later. */
  usable(): void {
    this.timer ??= this.parts.clock.after('forget former places', SETTLE_MS, () => {
      this.timer = undefined;
      if (this.parts.isBusy()) this.usable();
      else void this.forget();
    });
  }

  close(): void {
    this.timer?.cancel();
  }

  private async forget(): Promise<void> {
    const { kernel, log } = this.parts;
    try {
      for (const { ifindex, address } of await kernel.neighbours()) {
        if (this.isHere(ifindex, address)) this.remove(ifindex, address);
      }
    } catch (error) {
      log.debug('neighbour entries of our VIPs could not be removed', { error: messageOf(error) });
    }
  }

  private isHere(ifindex: number, vip: Ip): boolean {
    const { observed, isOurs } = this.parts;
    return observed.addressesOf(vip).some((each) => each.ifindex === ifindex && isOurs(each));
  }

  private remove(ifindex: number, vip: Ip): void {
    try {
      this.parts.kernel.removeNeighbour(ifindex, vip);
    } catch (error) {
      if (!isKernelError(error, 'gone')) throw error;
    }
  }
}
