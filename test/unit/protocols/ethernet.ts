import type { Mac } from '../../../src/lib/ip.ts';
import type { LinkAddressing } from '../../../src/protocols/index.ts';

/** The sender of the vectors. */
export const ethernet: LinkAddressing = {
  hardwareType: 1,
  mac: '02:00:5e:10:00:01' as Mac,
  broadcast: 'ff:ff:ff:ff:ff:ff' as Mac,
};
