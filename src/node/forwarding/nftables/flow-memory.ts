import { ipFromBytes } from '../../../lib/ip.ts';
import { isKernelError } from '../../../linux/errors.ts';
import type { NftElement, Nftables } from '../../../linux/index.ts';
import type { Connections, HeldConnection } from '../cutter.ts';
import type { VirtualServerSpec } from '../types.ts';
import { hostU32 } from './data.ts';
import { endedName, flowsName, OPENING_MS } from './flow-rules.ts';
import { markOf } from './marks.ts';
import { nameOf } from './service.ts';
import { TABLE } from './translation.ts';

/** The connections that direct return remembers. */
export class FlowMemory implements Connections {
  private readonly nftables: Nftables;

  constructor(nftables: Nftables) {
    this.nftables = nftables;
  }

  async of(specs: readonly VirtualServerSpec[]): Promise<readonly HeldConnection[]> {
    const found: HeldConnection[] = [];
    for (const spec of specs) if (spec.method === 'directroute') found.push(...(await this.ofOne(spec)));
    return found;
  }

  private async ofOne(spec: VirtualServerSpec): Promise<readonly HeldConnection[]> {
    const name = nameOf(spec);
    const elements = await this.nftables.elements('netdev', TABLE, flowsName({ name }));
    const ended = new Set(
      (await this.nftables.elements('netdev', TABLE, endedName({ name }))).map(({ key }) => key),
    );
    const servers = new Map(spec.realServers.map((server) => [hostU32(markOf(server.address)), server]));
    return elements.flatMap((element) => {
      const client = clientOf(element);
      if (client === undefined || typeof element.data !== 'string') return [];
      const server = servers.get(element.data);
      const service = { address: spec.vip, port: spec.port };
      // A client that has sent nothing but its SYN sends it again, and gets another server.
      const hasEnded = ended.has(element.key);
      const isEstablished = !hasEnded && (element.expiresInMs ?? 0) > OPENING_MS;
      return [{ client, service, server, isEstablished, hasEnded, key: element.key }];
    });
  }

  /** One that ran out meanwhile would fail the whole batch: then one by one. */
  forget(spec: VirtualServerSpec, connections: readonly HeldConnection[]): number {
    const set = flowsName({ name: nameOf(spec) });
    const keys = connections.flatMap(({ key }) => key ?? []);
    const remove = (some: readonly string[]): number => {
      try {
        const elements = some.map((key) => ({ key }));
        this.nftables.commit([{ do: 'delete elements', family: 'netdev', table: TABLE, set, elements }]);
        return some.length;
      } catch (error) {
        if (!isKernelError(error, 'gone')) throw error;
        return some.length === 1 ? 0 : some.reduce((sum, key) => sum + remove([key]), 0);
      }
    };
    return keys.length === 0 ? 0 : remove(keys);
  }
}

/** The key is address . port, the port in the first half of its register. */
function clientOf({ key }: NftElement): HeldConnection['client'] | undefined {
  const bytes = Uint8Array.from({ length: key.length / 2 }, (_, i) =>
    Number.parseInt(key.slice(2 * i, 2 * i + 2), 16),
  );
  const length = bytes.length - 4;
  if (length !== 4 && length !== 16) return undefined;
  return {
    address: ipFromBytes(bytes.subarray(0, length)),
    port: ((bytes[length] ?? 0) << 8) | (bytes[length + 1] ?? 0),
  };
}
