import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { readImports } from '../../tools/arch/edges.ts';
import type { ImportGraph } from '../../tools/arch/edges.ts';
import { reasonAgainst, roomCycle } from '../../tools/arch/rules.ts';
import type { Edge } from '../../tools/arch/rules.ts';
import { rooms } from '../../tools/arch/rooms.ts';

const root = resolve(import.meta.dirname, '../..');
const folders = ['src', 'lab', 'test', 'bench', 'tools'].filter((folder) =>
  existsSync(resolve(root, folder)),
);

describe('the imports of this repository', () => {
  let graph: ImportGraph;
  before(async () => {
    graph = await readImports(root, folders);
  });

  test('the reader sees them', () => {
    assert.ok(graph.edges.length > 50, `${graph.edges.length} imports found`);
    assert.ok(graph.edges.some((edge) => edge.typeOnly));
    assert.ok(graph.edges.some((edge) => edge.to === 'node:test'));
  });

  test('keep to the import table', () => {
    const broken = graph.edges
      .map((edge) => ({ edge, reason: reasonAgainst(edge) }))
      .filter(({ reason }) => reason !== undefined)
      .map(({ edge, reason }) => `${edge.from} → ${edge.to}: ${reason ?? ''}`);
    assert.equal(broken.join('\n'), '');
  });

  test('lead somewhere', () => {
    assert.equal(graph.unresolved.join('\n'), '');
  });

  test('make no ring of rooms', () => {
    assert.equal(roomCycle(graph.edges)?.join(' → '), undefined);
  });

  test('make no ring of files across folders', () => {
    assert.equal(graph.fileCycles.join('\n'), '');
  });
});

test('every folder of src is a room of the table', () => {
  const unknown = readdirSync(resolve(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !(entry.name in rooms))
    .map((entry) => entry.name);
  assert.deepEqual(unknown, []);
});

describe('the import table forbids', () => {
  const value = (from: string, to: string): Edge => ({ from, to, typeOnly: false });
  const type = (from: string, to: string): Edge => ({ from, to, typeOnly: true });
  const forbidden: readonly (readonly [Edge, RegExp])[] = [
    [value('src/lib/ip.ts', 'src/linux/index.ts'), /lib is the floor/],
    [value('src/lib/ip.ts', 'node:fs'), /lib may not use node:fs/],
    [value('src/protocols/arp/codec.ts', 'node:dgram'), /pure/],
    [value('src/linux/sys.ts', 'src/config/index.ts'), /kernel room/],
    [value('src/kube/client.ts', 'koffi'), /kube may not use koffi/],
    [value('src/config/table.ts', 'node:fs'), /handed over/],
    [value('src/node/store.ts', 'src/linux/index.ts'), /only types of linux/],
    [type('src/node/store.ts', 'src/linux/netlink/codec.ts'), /linux is entered by/],
    [type('src/node/store.ts', 'src/control-plane/index.ts'), /does not know who asked/],
    [type('src/control-plane/operator.ts', 'src/services/index.ts'), /may not import services/],
    [value('src/control-plane/operator.ts', 'src/node/index.ts'), /only types of node/],
    [value('src/observe/metrics.ts', 'src/election/types.ts'), /handed snapshots/],
    [value('src/manager/manager.ts', 'src/cli/index.ts'), /does not know the command line/],
    [value('src/manager/manager.ts', 'src/linux/sys.ts'), /linux is entered by/],
    [value('src/manager/manager.ts', 'src/testing/fake-clock.ts'), /never imports fakes/],
    [value('src/manager/manager.ts', 'lab/cluster.ts'), /may not import lab/],
    [value('src/manager/manager.ts', 'src/node/forwarding/index.ts'), /not by its forwarding\/index\.ts/],
    [value('src/main.ts', 'src/manager/index.ts'), /nothing else/],
    [value('src/cli/main.ts', 'src/kube/index.ts'), /may not import kube/],
    [value('lab/cluster.ts', 'src/manager/index.ts'), /does not import it/],
    [value('src/lib/ip.ts', 'test/unit/lib/ip.test.ts'), /lib is the floor/],
    [value('bench/run.ts', 'test/lab/failover.test.ts'), /bench may not import test/],
    [value('src/lib/ip.ts', 'tools/build.ts'), /lib is the floor/],
    [value('src/attic/a.ts', 'src/lib/ip.ts'), /no room of the house/],
  ];
  for (const [edge, reason] of forbidden) {
    test(`${edge.from} → ${edge.to}${edge.typeOnly ? ' (types)' : ''}`, () => {
      assert.match(reasonAgainst(edge) ?? 'nothing', reason);
    });
  }
});

describe('the import table allows', () => {
  const allowed: readonly Edge[] = [
    { from: 'src/linux/sys.ts', to: 'koffi', typeOnly: false },
    { from: 'src/node/store.ts', to: 'src/linux/types.ts', typeOnly: true },
    { from: 'src/node/store.ts', to: 'src/linux/errors.ts', typeOnly: false },
    { from: 'src/control-plane/operator.ts', to: 'src/election/types.ts', typeOnly: true },
    { from: 'src/manager/manager.ts', to: 'src/linux/index.ts', typeOnly: false },
    { from: 'src/cli/demo.ts', to: 'lab/cluster.ts', typeOnly: false },
    { from: 'test/unit/linux/netlink.test.ts', to: 'src/linux/netlink/codec.ts', typeOnly: false },
  ];
  for (const edge of allowed) {
    test(`${edge.from} → ${edge.to}`, () => {
      assert.equal(reasonAgainst(edge), undefined);
    });
  }
});

test('a ring of rooms is found and printed', () => {
  const edge = (from: string, to: string): Edge => ({ from, to, typeOnly: true });
  const ring = roomCycle([
    edge('src/kube/a.ts', 'src/lib/b.ts'),
    edge('src/node/a.ts', 'src/linux/b.ts'),
    edge('src/linux/a.ts', 'src/node/b.ts'),
  ]);
  assert.equal(ring?.join(' → '), 'node → linux → node');
});
