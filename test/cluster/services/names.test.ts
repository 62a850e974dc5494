import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';
import { Objects } from './objects.ts';

const refused = ensurePrivilege();
const settings = { cp_enable: 'false', address: '', svc_enable: 'true' };

describe('names as addresses', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let objects: Objects;
  let node: Machine;
  const vip = (n: number): string => cluster.lab.plan.vip(n);
  const hosts = (address: string): string => `127.0.0.1 localhost\n${address} web.example\n`;

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 1 });
    objects = await Objects.in(cluster);
    node = cluster.lab.node(0);
    await cluster.startDaemons({ env: settings, options: { etc: { hosts: hosts(vip(1)) } } });
  });
  after(async () => {
    await cluster.stop();
  });

  it("SVC-10 the machine's resolver says where the VIP is, and is followed", async () => {
    await objects.create({ name: 'web', vip: 'web.example' }, [node]);
    await cluster.holder(vip(1));
    const text = await node.run('ip', ['-o', 'addr', 'show', 'to', vip(1)]);
    assert.match(text, /deprecated/);
    assert.match(text, /valid_lft (60|5\d)sec/);
    // The daemon has it lying over the machine's own file.
    writeFileSync(path.join(node.dir, 'etc', 'hosts'), hosts(vip(2)));
    await cluster.holder(vip(2));
    assert.equal(await node.holds(vip(1)), false);
    await waitFor(async () => (await objects.ingress('web')).join() === vip(2), { what: 'the status' });
  });
});
