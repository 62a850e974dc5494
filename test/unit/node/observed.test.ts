import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mac } from '../../../src/lib/ip.ts';
import type { Link } from '../../../src/linux/types.ts';
import { Observed } from '../../../src/node/observed.ts';

function link(index: number, name: string): Link {
  return {
    index,
    name,
    hardwareType: 1,
    mac: `02:00:00:00:00:0${index}` as Mac,
    broadcast: 'ff:ff:ff:ff:ff:ff' as Mac,
    mtu: 1500,
    operState: 'up',
    adminUp: true,
    carrier: true,
    loopback: false,
    kind: 'veth',
    master: undefined,
  };
}

function dump(observed: Observed, ...links: readonly Link[]): void {
  observed.dumpStarted(false);
  observed.dumpDone(links, []);
}

test('a list that brings nothing new changes nothing: nobody has to look again', () => {
  const observed = new Observed();
  dump(observed, link(1, 'eth0'), link(2, 'eth1'));
  const [before, first] = [observed.generation, observed.linkAt(1)];
  dump(observed, link(1, 'eth0'), link(2, 'eth1'));
  assert.equal(observed.generation, before);
  assert.equal(observed.linkAt(1), first);
  dump(observed, link(1, 'eth0'), { ...link(2, 'eth1'), carrier: false });
  assert.notEqual(observed.generation, before);
});

test('links that swapped their names, were made anew or went are as the list has them', () => {
  const observed = new Observed();
  dump(observed, link(1, 'eth0'), link(2, 'eth1'), link(3, 'eth2'), link(4, 'eth3'));
  dump(observed, link(1, 'eth1'), link(2, 'eth0'), link(5, 'eth2'));
  const indexOf = (name: string): number | undefined => observed.linkNamed(name)?.index;
  assert.deepEqual(['eth0', 'eth1', 'eth2', 'eth3'].map(indexOf), [2, 1, 5, undefined]);
  assert.deepEqual(
    [...observed.allLinks()].map(({ index }) => index),
    [1, 2, 5],
  );
});
