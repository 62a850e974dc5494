import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../../lib/ip.ts';
import { linkOf, refused, request, withSubject, type OpenSubject } from './subject.ts';

/** Links and addresses. */
export function addressContract(name: string, open: OpenSubject): void {
  const on = (title: string, body: Parameters<typeof withSubject>[1]): void => {
    test(`${name}: ${title}`, () => withSubject(open, body));
  };

  on('links are listed and found by name', async (subject) => {
    const links = await subject.kernel.links();
    assert.deepEqual(links.map((link) => link.name).sort(), ['far', 'lo', 'near']);
    const near = linkOf(subject);
    assert.deepEqual(
      links.find(({ index }) => index === near.index),
      near,
    );
    assert.equal(near.hardwareType, 1);
    assert.match(near.mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    assert.equal(near.broadcast, 'ff:ff:ff:ff:ff:ff');
    assert.deepEqual([near.adminUp, near.carrier, near.loopback], [true, true, false]);
    assert.equal(links.find((link) => link.name === 'lo')?.loopback, true);
    assert.equal(subject.kernel.linkByName('nowhere'), undefined);
  });

  on('an IPv4 address is set with what was asked for, and set again without complaint', async (subject) => {
    const near = linkOf(subject);
    const wanted = request(near.index, '192.0.2.1/32', { preferredLifetime: 0 });
    subject.kernel.setAddress(wanted);
    subject.kernel.setAddress(wanted);
    assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.1/32 scope global deprecated']);
    const found = (await subject.kernel.addresses()).filter(({ address }) => address === wanted.address);
    assert.deepEqual(found, [
      {
        ...wanted,
        preferredLifetime: undefined,
        deprecated: true,
        tentative: false,
        dadFailed: false,
        permanent: true,
      },
    ]);
  });

  on('a broadcast address is set only when asked for', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/24', { broadcast: ip('192.0.2.255') }));
    subject.kernel.setAddress(request(near.index, '198.51.100.1/24'));
    assert.deepEqual(await subject.judgeAddresses('near'), [
      '192.0.2.1/24 brd 192.0.2.255 scope global',
      '198.51.100.1/24 scope global',
    ]);
  });

  on('setting again changes lifetimes and owner mark, not scope and broadcast', async (subject) => {
    const near = linkOf(subject);
    subject.addAddress('near', '192.0.2.1/24');
    subject.kernel.setAddress(
      request(near.index, '192.0.2.1/24', {
        scope: 'link',
        preferredLifetime: 0,
        broadcast: ip('192.0.2.255'),
      }),
    );
    assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.1/24 scope global deprecated']);
    const [found] = (await subject.kernel.addresses()).filter(({ address }) => address === '192.0.2.1');
    assert.equal(found?.protocol, 11);
  });

  on('lifetimes count down', async (subject) => {
    const near = linkOf(subject);
    const wanted = request(near.index, '192.0.2.1/32', { validLifetime: 1000, preferredLifetime: 500 });
    subject.kernel.setAddress(wanted);
    const [found] = (await subject.kernel.addresses()).filter(({ address }) => address === '192.0.2.1');
    assert.ok(
      found?.validLifetime !== undefined && found.validLifetime >= 990 && found.validLifetime <= 1000,
    );
    assert.ok(found.preferredLifetime !== undefined && found.preferredLifetime <= 500);
    assert.equal(found.permanent, false);
    refused('bug', () => subject.kernel.setAddress({ ...wanted, validLifetime: 10 }));
  });

  on('one IPv4 address may be on a link with two prefix lengths', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/24'));
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    subject.kernel.removeAddress(near.index, ip('192.0.2.1'), 24);
    assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.1/32 scope global']);
  });

  on('removing what is not there is `gone`, also with another prefix length or link', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/24'));
    for (const [ifindex, address, length] of [
      [near.index, '192.0.2.2', 24],
      [near.index, '192.0.2.1', 32],
      [near.index, '2001:db8::1', 128],
      [linkOf(subject, 'far').index, '192.0.2.1', 24],
      [4096, '192.0.2.1', 24],
    ] as const) {
      const error = refused('gone', () => subject.kernel.removeAddress(ifindex, ip(address), length));
      assert.equal(error.op, 'remove address');
      assert.match(error.message, new RegExp(`^remove address ${address}/${length} on link ${ifindex}: `));
    }
  });

  on('setting on a link that is not there is `retry`', async (subject) => {
    for (const prefix of ['192.0.2.1/32', '2001:db8::1/128']) {
      const error = refused('retry', () => subject.kernel.setAddress(request(4096, prefix)));
      assert.equal(error.errnoName, 'ENODEV');
    }
  });

  on(
    'an IPv6 address is tentative until its detection has ended, unless that is skipped',
    async (subject) => {
      const near = linkOf(subject);
      subject.kernel.setAddress(request(near.index, '2001:db8::1/128', { preferredLifetime: 0 }));
      subject.kernel.setAddress(request(near.index, '2001:db8::2/128', { noDad: true }));
      const state = async (): Promise<Map<string, boolean>> =>
        new Map((await subject.kernel.addresses()).map((a) => [a.address, a.tentative]));
      const first = await state();
      assert.deepEqual([first.get('2001:db8::1'), first.get('2001:db8::2')], [true, false]);
      await subject.until('detection ends', async () => (await state()).get('2001:db8::1') === false);
      const lines = [...(await subject.judgeAddresses('near'))].sort();
      assert.deepEqual(lines, [
        '2001:db8::1/128 scope global deprecated',
        '2001:db8::2/128 scope global nodad',
      ]);
    },
  );

  on(
    'a duplicate is found, stays marked when set again, and can be removed and set without detection',
    async (subject) => {
      const near = linkOf(subject);
      subject.failDad('2001:db8::9');
      const wanted = request(near.index, '2001:db8::9/128');
      const ours = async () =>
        (await subject.kernel.addresses()).find(
          (a) => a.address === wanted.address && a.ifindex === near.index,
        );
      subject.kernel.setAddress(wanted);
      await subject.until('detection fails', async () => (await ours())?.dadFailed === true);
      subject.kernel.setAddress({ ...wanted, noDad: true });
      assert.equal((await ours())?.dadFailed, true);
      subject.kernel.removeAddress(near.index, wanted.address, 128);
      subject.kernel.setAddress({ ...wanted, noDad: true });
      const found = await ours();
      assert.deepEqual([found?.dadFailed, found?.tentative, found?.noDad], [false, false, true]);
    },
  );

  on(
    'an IPv6 address is on a link once: another prefix length changes nothing but marks',
    async (subject) => {
      const near = linkOf(subject);
      subject.kernel.setAddress(request(near.index, '2001:db8::1/128', { noDad: true }));
      subject.kernel.setAddress(request(near.index, '2001:db8::1/64', { noDad: true, preferredLifetime: 0 }));
      assert.deepEqual(await subject.judgeAddresses('near'), [
        '2001:db8::1/128 scope global deprecated nodad',
      ]);
    },
  );

  on('an IPv6 address is refused as `unsupported` where IPv6 is switched off', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.writeSysctl('net.ipv6.conf.near.disable_ipv6', '1');
    const error = refused('unsupported', () =>
      subject.kernel.setAddress(request(near.index, '2001:db8::1/64')),
    );
    assert.match(error.message, /IPv6 is disabled on this device/);
  });

  on(
    'a downed link keeps IPv4 addresses and loses IPv6 ones; both can be set while it is down',
    async (subject) => {
      const near = linkOf(subject);
      subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
      subject.kernel.setAddress(request(near.index, '2001:db8::1/128', { noDad: true }));
      subject.setLink('near', 'down');
      assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.1/32 scope global']);
      assert.equal(linkOf(subject).adminUp, false);
      subject.kernel.setAddress(request(near.index, '192.0.2.2/32'));
      subject.kernel.setAddress(request(near.index, '2001:db8::2/128'));
      subject.setLink('near', 'up');
      await subject.until('detection ends', async () => {
        const all = await subject.kernel.addresses();
        return all.some(({ address, tentative }) => address === '2001:db8::2' && !tentative);
      });
    },
  );

  on('the first address of an IPv4 subnet takes the others with it', async (subject) => {
    const near = linkOf(subject);
    for (const prefix of ['192.0.2.1/24', '192.0.2.2/24', '192.0.2.3/32']) {
      subject.kernel.setAddress(request(near.index, prefix));
    }
    subject.kernel.removeAddress(near.index, ip('192.0.2.1'), 24);
    assert.deepEqual(await subject.judgeAddresses('near'), ['192.0.2.3/32 scope global']);
  });

  on('… unless secondaries are promoted', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.writeSysctl('net.ipv4.conf.near.promote_secondaries', '1');
    for (const prefix of ['192.0.2.1/24', '192.0.2.2/24', '192.0.2.3/24']) {
      subject.kernel.setAddress(request(near.index, prefix));
    }
    subject.kernel.removeAddress(near.index, ip('192.0.2.1'), 24);
    assert.deepEqual(await subject.judgeAddresses('near'), [
      '192.0.2.2/24 scope global',
      '192.0.2.3/24 scope global secondary',
    ]);
  });

  on('addresses of one subnet must have one scope', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/24'));
    const other = request(near.index, '192.0.2.2/24', { scope: 'link' });
    const error = refused('bug', () => subject.kernel.setAddress(other));
    assert.match(error.message, /Invalid scope value/);
  });

  on('loopback takes scope host', async (subject) => {
    const lo = linkOf(subject, 'lo');
    subject.kernel.setAddress(request(lo.index, '192.0.2.1/32', { scope: 'host' }));
    assert.ok((await subject.judgeAddresses('lo')).includes('192.0.2.1/32 scope host'));
  });

  on('many addresses at once: each has its own result', async (subject) => {
    const near = linkOf(subject);
    const many = Array.from({ length: 600 }, (_, i) => request(near.index, `10.9.${i >> 8}.${i & 255}/32`));
    const results = subject.kernel.setAddresses([...many, request(4096, '192.0.2.1/32')]);
    assert.equal(results.length, 601);
    assert.deepEqual(
      results.slice(0, 600).filter((error) => error !== undefined),
      [],
    );
    assert.equal(results[600]?.kind, 'retry');
    assert.equal((await subject.judgeAddresses('near')).length, 600);
    const removed = subject.kernel.removeAddresses([request(near.index, '192.0.2.99/32'), ...many]);
    assert.equal(removed[0]?.kind, 'gone');
    assert.equal(removed.filter((error) => error === undefined).length, 600);
    assert.deepEqual(await subject.judgeAddresses('near'), []);
    assert.deepEqual(subject.kernel.setAddresses([]), []);
  });

  on('a recreated link has another ifindex and no addresses', async (subject) => {
    const near = linkOf(subject);
    subject.kernel.setAddress(request(near.index, '192.0.2.1/32'));
    subject.recreateLinks();
    assert.notEqual(linkOf(subject).index, near.index);
    assert.deepEqual(await subject.judgeAddresses('near'), []);
    refused('gone', () => subject.kernel.removeAddress(near.index, ip('192.0.2.1'), 32));
  });
}
