import assert from 'node:assert/strict';
import { kernelContract, type KernelSubject } from '../../../src/testing/contract/kernel/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';

kernelContract('fake kernel', async () => fakeSubject());

function fakeSubject(): KernelSubject {
  const clock = new FakeClock();
  const kernel = new FakeKernel({ clock });
  kernel.addLink({ name: 'far' });
  kernel.addLink({ name: 'near' });
  const split = (prefix: string): [string, number] => {
    const [address = '', length = ''] = prefix.split('/');
    return [address, Number(length)];
  };
  return {
    kernel,
    setLink: (name, state) => (state === 'up' ? kernel.setLinkUp(name) : kernel.setLinkDown(name)),
    recreateLinks: () => {
      kernel.recreateLink('near');
      kernel.recreateLink('far');
    },
    addAddress: (link, prefix) => kernel.putAddress(link, ...split(prefix)),
    takeAddress: (link, prefix) => kernel.takeAddress(link, ...split(prefix)),
    failDad: (address) => kernel.failDad(address),
    arrive: (frame) => kernel.deliver('near', frame),
    sent: async (etherType) =>
      kernel.frames
        .filter(
          ({ link, frame }) => link === 'near' && (frame[12] ?? 0) * 256 + (frame[13] ?? 0) === etherType,
        )
        .map(({ frame }) => frame),
    judgeAddresses: async (link) => judge(kernel.showAddresses({ link })),
    judgeRoutes: async (table) =>
      kernel
        .showRoutes({ table })
        .split('\n')
        .filter((line) => line !== '')
        .map(judgeRoute),
    until: async (what, condition) => {
      for (let tries = 0; !(await condition()); tries++) {
        assert.ok(tries < 50, `never: ${what}`);
        await clock.advance(100);
      }
    },
    close: async () => undefined,
  };
}

/** `2: near inet 192.0.2.1/32 scope global proto 11 valid_lft …` without what `ip -j` has no word for. */
function judge(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.includes(' proto 3 '))
    .map((line) => line.replace(/^\d+: \S+ inet6? /, '').replace(/( proto \d+)? valid_lft .*$/, ''));
}

function judgeRoute(line: string): string {
  const word = (name: string): string => {
    const value = new RegExp(` ${name} (\\S+)`).exec(line)?.[1];
    return value === undefined ? '' : ` ${name} ${value}`;
  };
  const to = line.split(' ')[0] ?? '';
  const isDefaultMetric = word('metric') === ' metric 1024' && to.includes(':');
  return `${to}${word('via')}${word('dev')}${isDefaultMetric ? '' : word('metric')}${word('src')}`;
}
