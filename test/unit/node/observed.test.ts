import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../../../src/linux/types.ts';
import { Observed } from '../../../src/node/observed.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { FakeKernel } from '../../../src/testing/fake-kernel/index.ts';

/** As a list has it: a new object each time. */
function link(index: number, name: string): Link {
  return new FakeKernel({ clock: new FakeClock() }).addLink({ index, name });
}

function dump(observed: Observed, ...links: readonly Link[]): void {
  observed.dumpStarted(false);
  observed.dumpDone(links, []);
}

test('a list that brings nothing new changes nothing: nobody has to look again', () => {
  const observed = new Observed();
  dump(observed, link(11, 'eth0'), link(12, 'eth1'));
  const [before, first] = [observed.generation, observed.linkAt(11)];
  dump(observed, link(11, 'eth0'), link(12, 'eth1'));
  assert.equal(observed.generation, before);
  assert.equal(observed.linkAt(11), first);
  dump(observed, link(11, 'eth0'), { ...link(12, 'eth1'), carrier: false });
  assert.notEqual(observed.generation, before);
});

test('links that swapped their names, were made anew or went are as the list has them', () => {
  const observed = new Observed();
  dump(observed, link(11, 'eth0'), link(12, 'eth1'), link(13, 'eth2'), link(14, 'eth3'));
  dump(observed, link(11, 'eth1'), link(12, 'eth0'), link(15, 'eth2'));
  const indexOf = (name: string): number | undefined => observed.linkNamed(name)?.index;
  assert.deepEqual(['eth0', 'eth1', 'eth2', 'eth3'].map(indexOf), [12, 11, 15, undefined]);
  assert.deepEqual(
    [...observed.allLinks()].map(({ index }) => index),
    [11, 12, 15],
  );
});
