import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { LocalLinks } from '../../../src/services/local-links.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { loggerTo } from '../../../src/testing/logger.ts';

/** Follows a kernel whose lists are read at once, and handed over when `release` is called. */
function following() {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'eth0' });
  kernel.putAddress('eth0', '192.0.2.1', 24);
  const list = kernel.addresses.bind(kernel);
  const waiting: (() => void)[] = [];
  kernel.addresses = async () => {
    const listed = await list();
    await new Promise<void>((resolve) => waiting.push(resolve));
    return listed;
  };
  const links = new LocalLinks({ kernel, clock, random: () => 1, log: loggerTo(() => undefined) });
  const news = { count: 0 };
  const started = links.start(() => news.count++, new AbortController().signal);
  const release = async (): Promise<void> => {
    await clock.flush();
    for (const resolve of waiting.splice(0)) resolve();
    await clock.flush();
  };
  return { clock, kernel, links, news, started, release };
}

test('what happens while links and addresses are listed is not forgotten with the list', async () => {
  const { clock, kernel, links, started, release } = following();
  await clock.flush();
  kernel.addLink({ name: 'eth1' });
  kernel.putAddress('eth1', '198.51.100.1', 24);
  kernel.takeAddress('eth0', '192.0.2.1', 24);
  await release();
  await started;
  assert.ok(links.hasLink('eth1'));
  assert.equal(links.ownerOf(ip('198.51.100.1')), 'eth1');
  assert.equal(links.ownerOf(ip('192.0.2.1')), undefined);
});

test('events that are lost during a list are made good by another one', async () => {
  const { clock, kernel, links, started, release } = following();
  await release();
  await started;
  kernel.loseEvents();
  await clock.flush();
  kernel.loseEvents(() => {
    kernel.putAddress('eth0', '192.0.2.2', 24);
  });
  await release();
  await release();
  assert.equal(links.ownerOf(ip('192.0.2.2')), 'eth0');
  kernel.takeAddress('eth0', '192.0.2.2', 24);
  await clock.flush();
  assert.equal(links.ownerOf(ip('192.0.2.2')), undefined);
});
