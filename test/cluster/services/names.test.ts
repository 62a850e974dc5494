import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { servicesOnly, stageOf, whySkipped, type Stage } from './stage.ts';

const hosts = (address: string): string => `127.0.0.1 localhost\n${address} web.example\n`;

describe('names as addresses', { skip: whySkipped() }, () => {
  const stage = stageOf({ prepare });

  async function prepare({ cluster, vip }: Stage): Promise<void> {
    const options = { etc: { hosts: hosts(vip(1)) } };
    await cluster.startDaemons(stage.defaults({ env: servicesOnly, options }));
  }

  it("SVC-10 the machine's resolver says where the VIP is, and is followed", async () => {
    const { cluster, objects, node, vip } = stage;
    await objects.create({ name: 'web', vip: 'web.example' }, [node]);
    await cluster.holder(vip(1));
    const text = await node.run('ip', ['-o', 'addr', 'show', 'to', vip(1)]);
    assert.match(text, /deprecated/);
    // Refreshed long before it is over.
    assert.match(text, /valid_lft (60|[1-5]?\d)sec/);
    // The daemon has it lying over the machine's own file.
    writeFileSync(path.join(node.dir, 'etc', 'hosts'), hosts(vip(2)));
    await cluster.holder(vip(2));
    await stage.gone(vip(1));
    await stage.statusIs('web', [vip(2)]);
  });
});
