import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ensurePrivilege, waitFor } from '../../../lab/index.ts';
import { httpGet } from '../../../lab/http-get.ts';
import type { Fence } from '../../../src/lib/fence.ts';
import { holding, manyVips, setStage, type Stage } from './stage.ts';

const refused = ensurePrivilege();

describe('routes that stand in for addresses', { skip: refused?.because ?? false }, () => {
  let stage: Stage;
  const vips = manyVips(1500);
  /** One that comes when there is a crowd, and before the last ones, which nobody waits behind. */
  const late = vips[1000] ?? vips[0];
  let holds = true;
  const fence: Fence = { holds: () => holds };

  before(async () => {
    stage = await setStage({ crowd: 256 });
    await stage.lab.client.run('ip', 'route add 10.200.0.0/16 dev eth0'.split(' '));
  });
  after(async () => {
    await stage.stop();
  });
  afterEach(() => {
    holds = true;
    stage.node().withdraw('control-plane');
  });

  const standing = async (): Promise<readonly string[]> =>
    (await stage.machine.run('ip', 'route show table local proto 248'.split(' ')))
      .trim()
      .split('\n')
      .filter(Boolean);
  const onLink = async (): Promise<number> =>
    (await stage.machine.run('ip', '-o -4 addr show dev eth0'.split(' ')))
      .split('\n')
      .filter((line) => line.includes(' 10.200.')).length;

  /** All are there for the network; without the fence no address follows. */
  async function crowd(): Promise<void> {
    stage.node().publish(
      'control-plane',
      holding(vips).map((spec) => ({ ...spec, fence })),
    );
    while (!vips.every((vip) => stage.node().isPresent(vip))) await nextTurn();
    holds = false;
  }

  it('one of them answers ARP, ICMP and TCP as an address does, and nothing is lost when it follows', async () => {
    assert.ok(late !== undefined);
    await crowd();
    assert.ok(
      (await standing()).some((line) => line.startsWith(`local ${late} dev eth0 `)),
      'it is no address yet',
    );
    assert.equal((await onLink()) + (await standing()).length, vips.length);
    const { machine } = stage;
    const { client } = stage.lab;
    const arping = await client.run('arping', ['-c', '1', '-i', 'eth0', late]);
    assert.ok(arping.toLowerCase().includes(machine.mac.toLowerCase()), arping);
    const server = createServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nhere')),
    ).listen(8080, late);
    await once(server, 'listening');
    try {
      assert.equal((await httpGet(client, late, 8080, '/'))?.body, 'here');
      const ping = client.run('ping', ['-c', '200', '-i', '0.01', '-W', '1', late]);
      holds = true;
      await waitFor(async () => (await standing()).length === 0, { what: 'the addresses' });
      assert.equal(await onLink(), vips.length);
      assert.equal((await httpGet(client, late, 8080, '/'))?.body, 'here');
      assert.match(await ping, /200 received, 0% packet loss/);
    } finally {
      server.close();
    }
  });

  it('what is withdrawn meanwhile is gone from the network at once', async () => {
    assert.ok(late !== undefined);
    await crowd();
    stage.node().withdraw('control-plane');
    assert.deepEqual([await standing(), await onLink()], [[], 0]);
    await assert.rejects(stage.lab.client.run('arping', ['-c', '1', '-i', 'eth0', late]));
  });

  it('what a killed process left is found by the next one, and swept', async () => {
    await crowd();
    assert.ok((await standing()).length > 0);
    const next = await stage.restart();
    assert.equal(next.leftovers().length, vips.length);
    next.sweep();
    assert.deepEqual([await standing(), await onLink()], [[], 0]);
  });
});
