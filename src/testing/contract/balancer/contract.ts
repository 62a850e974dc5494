import { describe } from 'node:test';
import { changeContract } from './changes.ts';
import { recoveryContract } from './recovery.ts';
import { refusalContract } from './refusals.ts';
import { spreadContract } from './spread.ts';
import type { BalancerAbilities, OpenBalancer } from './subject.ts';

/** Everything a way to balance promises, seen from clients: run on each back-end in a real kernel. */
export function balancerContract(abilities: BalancerAbilities, open: OpenBalancer): void {
  describe(abilities.name, () => {
    spreadContract(abilities, open);
    changeContract(abilities, open);
    recoveryContract(abilities, open);
    if (abilities.hidesRefusals === true) refusalContract(abilities, open);
  });
}
