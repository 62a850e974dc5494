import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { servicesOnly, stageOf, whySkipped, type Stage } from './stage.ts';

describe('svc_enable switched off after a SIGKILL', { skip: whySkipped() }, () => {
  const stage = stageOf({ controlPlanes: 2, prepare });
  const { vip } = stage;
  const lease = { duration: 5, renewDeadline: 3, retryPeriod: 1 };
  const unsupervised = { lease, options: { supervise: false } };

  async function prepare({ objects, nodes }: Stage): Promise<void> {
    await objects.create({ name: 'web', vip: vip(1) }, nodes);
  }

  it('what the killed one had stays as long as nobody else has it, and goes when another node holds it', async () => {
    const { cluster, node, nodes } = stage;
    const [, other = node] = nodes;
    const killed = cluster.startDaemon(node, { ...unsupervised, env: servicesOnly });
    await stage.appears(vip(1));
    await stage.vipHostIs('web', node.name);
    await killed.kill();
    const plane = cluster.startDaemon(node, unsupervised);
    await plane.waitReady();
    await plane.process.waitForLog(/VIPs of Services are on this node, and svc_enable is off/);
    await stage.appears(vip(0));
    assert.equal(await node.holds(vip(1)), true, 'another process may come back for it');
    const second = cluster.startDaemon(other, { ...unsupervised, env: servicesOnly });
    await stage.vipHostIs('web', other.name);
    await stage.disappears(vip(1));
    assert.equal(await other.holds(vip(1)), true);
    assert.equal(await node.holds(vip(0)), true);
    await second.stop();
    await plane.stop();
  });
});
