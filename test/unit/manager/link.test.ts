import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Config } from '../../../src/config/index.ts';
import { silentLogger, type Logger } from '../../../src/lib/log.ts';
import { chooseLink } from '../../../src/manager/link.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';
import { loadConfig } from '../config/helpers.ts';

function configOf(env: Readonly<Record<string, string>>): Config {
  const common = { vip_arp: 'true', cp_enable: 'true', address: '192.0.2.1', vip_interface: 'eth0' };
  return loadConfig({ argv: [], env: { ...common, ...env }, readFile: () => '', hostname: 'node-a' }).config;
}

async function linkFor(env: Readonly<Record<string, string>>, log: Logger = silentLogger): Promise<string> {
  const kernel = new FakeKernel();
  kernel.addLink({ name: 'eth0' });
  kernel.addLink({ name: 'eth1', carrier: false });
  return (await chooseLink(kernel, configOf(env), log)).name;
}

describe('the link of the Services', () => {
  const services = { svc_enable: 'true' };

  test('has to be there, too', async () => {
    await assert.rejects(
      linkFor({ ...services, vip_servicesinterface: 'nope' }),
      /^StartError: vip_servicesinterface: nope is not valid interface, reason: there is no link with this name/,
    );
    await assert.rejects(
      linkFor({ ...services, vip_servicesinterface: 'eth1' }),
      /vip_servicesinterface: eth1 is not valid interface, reason: operational state/,
    );
  });

  test('may be down where that is allowed, and is said', async () => {
    const lines: string[] = [];
    const log = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    const env = { ...services, vip_servicesinterface: 'eth1', vip_allow_interface_not_up: 'true' };
    assert.equal(await linkFor(env, log), 'eth0');
    assert.match(lines.join(), /operational state of eth1 is (down|lowerlayerdown); using it anyway/);
  });

  test('is not asked for where it is to be found, or where nobody needs it', async () => {
    for (const env of [
      { ...services, vip_servicesinterface: 'auto' },
      { ...services, vip_servicesinterface: 'eth0' },
      { ...services },
      { vip_servicesinterface: 'nope' },
    ])
      assert.equal(await linkFor(env), 'eth0');
  });
});
