import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeObject } from '../../../src/kube/types.ts';
import { projectNodeAddresses } from '../../../src/services/index.ts';
import { World } from './scene.ts';

function nodeObject(name: string, ...addresses: readonly string[]): NodeObject {
  const hostname = { type: 'Hostname', address: name };
  return projectNodeAddresses({
    metadata: { name },
    status: { addresses: [hostname, ...addresses.map((address) => ({ type: 'InternalIP', address }))] },
  } as NodeObject);
}

async function world(): Promise<World> {
  const made = new World();
  for (const name of ['a', 'b']) await made.add(name);
  await made.run(400);
  return made;
}

function tell(to: World, node: NodeObject | undefined, before?: NodeObject): void {
  const name = node?.metadata.name ?? before?.metadata.name ?? '';
  for (const { nodeAddresses } of to.nodes) {
    if (node !== undefined) nodeAddresses.listener.changed?.(name, node, before);
    else if (before !== undefined) nodeAddresses.listener.removed?.(name, before);
  }
}

test('the address of any node is refused to a Service, on every node, and its user is told whose it is', async () => {
  const w = await world();
  const c = nodeObject('c', '192.0.2.13', '2001:db8::13');
  tell(w, c);
  w.serve({ name: 'web', vip: '192.0.2.13' });
  w.serve({ name: 'six', vip: '2001:db8::13,2001:db8::1' });
  assert.deepEqual(w.holders('192.0.2.13'), []);
  assert.deepEqual(w.holders('2001:db8::1'), ['a'], 'its other address is served');
  assert.deepEqual(w.nodes[0]?.told, [
    'web AddressInUse kube-vip.io/loadbalancerIPs: 192.0.2.13 is the address of node c',
    'six AddressInUse kube-vip.io/loadbalancerIPs: 2001:db8::13 is the address of node c',
  ]);
  tell(w, undefined, c);
  assert.deepEqual(w.holders('192.0.2.13'), ['a'], 'the node is gone');
  await w.close();
});

test('a node that comes by an address that a Service has takes it from the Service', async () => {
  const w = await world();
  w.serve({ name: 'web', vip: '192.0.2.13' });
  assert.deepEqual(w.holders('192.0.2.13'), ['a']);
  const before = nodeObject('c', '192.0.2.3');
  tell(w, before);
  tell(w, nodeObject('c', '192.0.2.13'), before);
  assert.deepEqual(w.holders('192.0.2.13'), []);
  await w.close();
});

test('a VIP that a cloud lists among the addresses of its holder is no address of a node', async () => {
  const w = await world();
  tell(w, nodeObject('a', '192.0.2.11', '192.0.2.1'));
  tell(w, nodeObject('B', '192.0.2.12'));
  w.serve({ name: 'web', vip: '192.0.2.1' });
  w.serve({ name: 'own', vip: '192.0.2.12' });
  assert.deepEqual(w.holders('192.0.2.1'), ['a']);
  assert.deepEqual(w.nodes[1]?.told, [], 'b knows its own addresses from its links');
  w.nodes[0]?.stop.abort();
  await w.run(2000);
  assert.deepEqual(w.holders('192.0.2.1'), ['b']);
  await w.close();
});
