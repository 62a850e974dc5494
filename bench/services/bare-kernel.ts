import type { Machine } from '../../lab/index.ts';

const link = 'bare0';

/**
 * The physical limit: milliseconds in which `ip -batch` sets so many addresses on a link of its own, which nothing listens to.
 * The machine is as it was afterwards.
 */
export async function bareKernelMs(machine: Machine, count: number): Promise<number> {
  const addresses = Array.from(
    { length: count },
    (_, i) => `addr add 198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32 dev ${link}`,
  );
  await machine.ip(
    `link add ${link} type veth peer name ${link}p`,
    `link set ${link}p up`,
    `link set ${link} up`,
  );
  try {
    const from = performance.now();
    await machine.ip(...addresses);
    return performance.now() - from;
  } finally {
    await machine.ip(`link del ${link}`);
  }
}
