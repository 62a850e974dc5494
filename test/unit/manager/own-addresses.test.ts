import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import { warnOfOwnAddresses } from '../../../src/manager/own-addresses.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { recordingLogger } from '../../../src/testing/logger.ts';

const vip = ip('192.0.2.1');

/** The links of which the log warns, where each of these links has the address. */
async function warned(
  places: readonly { readonly link: string; readonly address: string; readonly deprecated?: boolean }[],
): Promise<readonly unknown[]> {
  const kernel = new FakeKernel();
  for (const { link, address, deprecated = false } of places) {
    const { index } =
      (await kernel.links()).find(({ name }) => name === link) ?? kernel.addLink({ name: link });
    kernel.setAddress({
      ifindex: index,
      address: ip(address),
      prefixLength: 24,
      scope: 'global',
      validLifetime: undefined,
      preferredLifetime: deprecated ? 0 : undefined,
      noDad: false,
      broadcast: undefined,
      protocol: 0,
    });
  }
  const log = recordingLogger();
  await warnOfOwnAddresses(kernel, new Set([vip]), log);
  assert.equal(log.lines.length, log.fields.length);
  for (const line of log.lines) assert.match(line, /^warn the VIP is an address of this node itself/);
  return log.fields.map(({ link }) => link);
}

test('a VIP that is an address of the node itself is warned of, on whichever link and with whatever prefix', async () => {
  assert.deepEqual(await warned([{ link: 'eth0', address: '192.0.2.7' }]), []);
  assert.deepEqual(await warned([{ link: 'eth0', address: '192.0.2.1' }]), ['eth0']);
  assert.deepEqual(
    await warned([
      { link: 'eth0', address: '192.0.2.7' },
      { link: 'bond1', address: '192.0.2.1' },
    ]),
    ['bond1'],
  );
});

test('what a kube-vip has put there, and a real server on lo, are nobody’s mistake', async () => {
  assert.deepEqual(await warned([{ link: 'eth0', address: '192.0.2.1', deprecated: true }]), []);
  for (const link of ['lo', 'kube-ipvs0'])
    assert.deepEqual(await warned([{ link, address: '192.0.2.1' }]), []);
});
