import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../lib/ip.ts';
import type { KernelEvent } from '../../../linux/types.ts';
import { linkOf, request, withSubject, type OpenSubject } from './subject.ts';

/** An event in one line; link-local addresses come and go with the kernel and are left out. */
function line(event: KernelEvent): string | undefined {
  switch (event.kind) {
    case 'link':
      return `${event.change} ${event.link.name} ${event.link.adminUp ? 'up' : 'down'}`;
    case 'address': {
      const { address, prefixLength, scope } = event.address;
      return scope === 'link' ? undefined : `${event.change} ${address}/${prefixLength}`;
    }
    default:
      return event.kind;
  }
}

/** What `watch` delivers. */
export function eventContract(name: string, open: OpenSubject): void {
  const on = (title: string, body: Parameters<typeof withSubject>[1]): void => {
    test(`${name}: ${title}`, () => withSubject(open, body));
  };

  on('changes are reported in order, ours and those of others, never inside the call', async (subject) => {
    const near = linkOf(subject);
    const seen: string[] = [];
    const watching = subject.kernel.watch(['address'], (event) => {
      const text = line(event);
      if (text !== undefined) seen.push(text);
    });
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    subject.addAddress('near', '192.0.2.2/32');
    subject.takeAddress('near', '192.0.2.1/32');
    subject.kernel.removeAddress(near.index, ip('192.0.2.2'), 32);
    assert.deepEqual(seen, []);
    await subject.until('four events', () => seen.length >= 4);
    assert.deepEqual(seen, [
      'set 192.0.2.1/32',
      'set 192.0.2.2/32',
      'gone 192.0.2.1/32',
      'gone 192.0.2.2/32',
    ]);
    watching.close();
  });

  on('who wants to hears of everything but the IPv4 addresses that we set ourselves', async (subject) => {
    const near = linkOf(subject);
    const seen: string[] = [];
    const tell = (event: KernelEvent): void => {
      const text = line(event);
      if (text !== undefined) seen.push(text);
    };
    const watching = subject.kernel.watch(['address'], tell, { withoutEcho: true });
    subject.kernel.setAddresses([request(near.index, '192.0.2.1/32'), request(near.index, '192.0.2.3/32')]);
    subject.kernel.setAddress(request(near.index, '2001:db8::1/128', { noDad: true }));
    subject.addAddress('near', '192.0.2.2/32');
    subject.takeAddress('near', '192.0.2.1/32');
    subject.kernel.removeAddress(near.index, ip('192.0.2.2'), 32);
    const v6 = 'set 2001:db8::1/128';
    await subject.until('the last events', () => seen.includes('gone 192.0.2.2/32') && seen.includes(v6));
    assert.deepEqual(
      // An IPv6 address is told of more than once, and some time later.
      seen.filter((text) => text !== v6),
      ['set 192.0.2.2/32', 'gone 192.0.2.1/32', 'gone 192.0.2.2/32'],
    );
    watching.close();
  });

  on(
    'of two who watch the same both hear everything, and one who leaves takes nothing along',
    async (subject) => {
      const near = linkOf(subject);
      const heard: string[][] = [[], []];
      const [one, two] = heard.map((seen) =>
        subject.kernel.watch(['link', 'address'], (event) => {
          const text = line(event);
          if (text?.includes('192.0.2.') === true) seen.push(text);
        }),
      );
      subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
      await subject.until('both have heard', () => heard.every((seen) => seen.length === 1));
      one?.close();
      one?.close();
      subject.kernel.setAddress(request(near.index, '192.0.2.2/32'));
      await subject.until('the other has heard', () => heard[1]?.length === 2);
      two?.close();
      const late: string[] = [];
      const three = subject.kernel.watch(['link', 'address'], (event) => late.push(line(event) ?? ''));
      subject.kernel.removeAddress(near.index, ip('192.0.2.2'), 32);
      await subject.until('a third has heard', () => late.includes('gone 192.0.2.2/32'));
      assert.deepEqual(heard, [['set 192.0.2.1/32'], ['set 192.0.2.1/32', 'set 192.0.2.2/32']]);
      three.close();
    },
  );

  on('a link that goes down reports itself, then the IPv6 addresses it lost', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    subject.kernel.setAddress(request(near.index, '2001:db8::1/128', { noDad: true }));
    const seen: string[] = [];
    const watching = subject.kernel.watch(['link', 'address'], (event) => {
      const text = line(event);
      if (text !== undefined && !text.includes('far')) seen.push(text);
    });
    subject.setLink('near', 'down');
    await subject.until('the address is gone', () => seen.includes('gone 2001:db8::1/128'));
    assert.ok(seen.indexOf('set near down') >= 0, seen.join('; '));
    assert.ok(seen.indexOf('set near down') < seen.indexOf('gone 2001:db8::1/128'), seen.join('; '));
    assert.ok(!seen.includes('gone 192.0.2.1/32'));
    subject.setLink('near', 'up');
    await subject.until('the link is up', () => seen.at(-1)?.startsWith('set near up') === true);
    watching.close();
  });

  on('the end of duplicate address detection is reported', async (subject) => {
    const near = linkOf(subject);
    const states: boolean[] = [];
    const watching = subject.kernel.watch(['address'], (event) => {
      if (event.kind === 'address' && event.address.address === '2001:db8::1')
        states.push(event.address.tentative);
    });
    subject.kernel.setAddress(request(near.index, '2001:db8::1/128'));
    await subject.until('a settled address', () => states.at(-1) === false);
    assert.deepEqual(states, [true, false]);
    watching.close();
  });

  on('a removed link is reported as gone; a new one of its name as set', async (subject) => {
    const near = linkOf(subject);
    const seen: string[] = [];
    const watching = subject.kernel.watch(['link'], (event) => {
      if (event.kind === 'link' && event.link.name === 'near')
        seen.push(`${event.change} ${event.link.index}`);
    });
    subject.recreateLinks();
    const again = linkOf(subject).index;
    await subject.until('the new link', () => seen.includes(`set ${again}`));
    assert.ok(seen.includes(`gone ${near.index}`), seen.join('; '));
    watching.close();
  });

  on('only the kinds asked for are delivered, and nothing after close', async (subject) => {
    const near = linkOf(subject);
    const links: string[] = [];
    const addresses: string[] = [];
    const linkWatch = subject.kernel.watch(['link'], (event) => void links.push(event.kind));
    const silenced = subject.kernel.watch(['address'], () => assert.fail('delivered after close'));
    const watching = subject.kernel.watch(['address'], (event) => void addresses.push(event.kind));
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    silenced.close();
    silenced.close();
    await subject.until('an event', () => addresses.length > 0);
    assert.deepEqual(links, []);
    linkWatch.close();
    watching.close();
  });

  on('a watcher may change the kernel and close itself from inside its callback', async (subject) => {
    const near = linkOf(subject);
    const seen: string[] = [];
    const watching = subject.kernel.watch(['address'], (event) => {
      const text = line(event);
      if (text === undefined) return;
      seen.push(text);
      if (text === 'gone 192.0.2.1/32') subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
      if (seen.length === 3) watching.close();
    });
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    subject.takeAddress('near', '192.0.2.1/32');
    await subject.until('the address is back', () => seen.length === 3);
    assert.deepEqual(seen, ['set 192.0.2.1/32', 'gone 192.0.2.1/32', 'set 192.0.2.1/32']);
    assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.1/32 scope global']);
  });
}
