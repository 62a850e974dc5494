import { Lab, type LabOptions, type Machine } from '../../../lab/index.ts';
import { messageOf } from '../../../src/lib/errors.ts';
import { familyOf, ip, type Ip, type Mac } from '../../../src/lib/ip.ts';
import { enterNamespace, openKernel, systemClock, type OpenKernel } from '../../../src/linux/index.ts';
import { createNode, type Node, type NodeOptions, type Owner, type Spec } from '../../../src/node/index.ts';
import { loggerTo } from '../../../src/testing/logger.ts';

/** One real node in this very process, inside the first control-plane machine of a lab. */
export interface Stage {
  readonly lab: Lab;
  readonly machine: Machine;
  readonly kernel: OpenKernel;
  readonly node: () => Node;
  /** Lines the node logged, and what its observer was told. */
  readonly logged: string[];
  readonly news: string[];
  /** The process image ends and a new one starts: nothing of the old is remembered. */
  readonly restart: () => Promise<Node>;
  readonly stop: () => Promise<void>;
}

export interface StageOptions {
  readonly lab?: LabOptions;
  readonly isClaimed?: NonNullable<NodeOptions['isClaimed']>;
  readonly routes?: NonNullable<NodeOptions['routes']>;
  readonly crowd?: number;
}

/** Builds the lab, enters the machine's namespace for good, and starts a node there. */
export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const lab = await Lab.start({ controlPlanes: 2, ...options.lab });
  const machine = lab.node(0);
  const logged: string[] = [];
  const news: string[] = [];
  try {
    enterNamespace({ name: machine.namespace });
    const clock = systemClock();
    const log = loggerTo((level, message, fields) => {
      logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
    });
    const kernel = openKernel({ clock });
    const components = { kernel, clock, log, observer: observerOf(news) };
    const { isClaimed, routes, crowd } = options;
    const nodeOptions: NodeOptions = {
      ...(isClaimed === undefined ? {} : { isClaimed }),
      ...(routes === undefined ? {} : { routes }),
      ...(crowd === undefined ? {} : { crowd }),
    };
    const start = async (): Promise<Node> => {
      const made = createNode(components, nodeOptions);
      await made.start();
      return made;
    };
    let node = await start();
    return {
      lab,
      machine,
      kernel,
      logged,
      news,
      node: () => node,
      restart: async () => {
        node.close();
        node = await start();
        return node;
      },
      stop: async () => {
        node.close();
        kernel.close();
        await lab.stop();
      },
    };
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

function observerOf(news: string[]): NonNullable<Parameters<typeof createNode>[0]['observer']> {
  return {
    addressReady: (vip) => news.push(`ready ${vip}`),
    addressRestored: (vip) => news.push(`restored ${vip}`),
    addressFailed: (vip, _link, error) => news.push(`failed ${vip} ${messageOf(error)}`),
    secondClaimant: (vip: Ip, _link: string, mac: Mac) => news.push(`claimant ${vip} ${mac}`),
  };
}

/** Those whom the tests publish for. */
export const owners: readonly Owner[] = ['control-plane', 'service/default/a', 'service/default/b'];

/** What a holder publishes for these VIPs. */
export function holding(
  vips: readonly Ip[],
  more: { noDad?: boolean; periodMs?: number } = {},
): readonly Spec[] {
  return vips.flatMap((vip): Spec[] => [
    {
      kind: 'address',
      vip,
      prefixLength: familyOf(vip) === 4 ? 32 : 128,
      link: 'eth0',
      scope: 'global',
      validLifetime: undefined,
      noDad: more.noDad ?? false,
    },
    { kind: 'announcement', vip, link: 'eth0', periodMs: more.periodMs ?? 3000 },
  ]);
}

/** Wall-clock milliseconds with fractions, comparable with the time stamps of a capture. */
export function wallNow(): number {
  return performance.timeOrigin + performance.now();
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((p / 100) * sorted.length) - 1)] ?? NaN;
}

/** Many addresses of one family, for load. */
export function manyVips(count: number): readonly Ip[] {
  return Array.from({ length: count }, (_, i) => ip(`10.200.${i >> 8}.${i & 255}`));
}
