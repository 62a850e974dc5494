import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoOf, KernelError } from '../../../src/linux/errors.ts';
import type { RuleCounters } from '../../../src/linux/index.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import { watchRefusals } from '../../../src/manager/refusals.ts';
import { createMetrics } from '../../../src/observe/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

interface Scene {
  readonly clock: FakeClock;
  /** What the kernel counts, by `family table`. */
  readonly rules: Map<string, readonly number[]>;
  readonly shows: () => string;
  readonly watch: { close(): void };
  reads: number;
  error: Error | undefined;
}

function scene(): Scene {
  const metrics = createMetrics();
  const clock = new FakeClock();
  const rules = new Map<string, readonly number[]>();
  const counters: RuleCounters = {
    read: async (family, table) => {
      made.reads++;
      if (made.error !== undefined) throw made.error;
      return (rules.get(`${family} ${table}`) ?? []).map((packets) => ({
        family,
        table,
        chain: 'knock_again',
        comment: 'the client knocks again',
        packets,
      }));
    },
    close: () => undefined,
  };
  const watch = watchRefusals({ counters, metrics, clock, log: silentLogger });
  const shows = (): string =>
    [...metrics.refusalsWithheld.each()].map(({ labels, value }) => `${labels['by']} ${value}`).join(', ');
  const made: Scene = { clock, rules, shows, watch, reads: 0, error: undefined };
  return made;
}

test('refusals of both families are counted by who kept them, also over new rules that begin at 0', async () => {
  const { clock, rules, shows, watch } = scene();
  assert.equal(shows(), 'holder 0, server 0');
  rules.set('ip kube-vip-lb', [3, 1]).set('ip6 kube-vip-lb', [2]).set('ip kube-vip-role', [7]);
  await clock.advance(10_000);
  assert.equal(shows(), 'holder 6, server 7');
  rules.set('ip kube-vip-lb', [5, 1]).delete('ip kube-vip-role');
  await clock.advance(10_000);
  assert.equal(shows(), 'holder 8, server 7');
  rules.set('ip kube-vip-lb', [1, 0]).set('ip kube-vip-role', [4]);
  await clock.advance(10_000);
  assert.equal(shows(), 'holder 9, server 11');
  watch.close();
});

test('rules that cannot be read are read again the next time, and none after the end', async () => {
  const made = scene();
  const { clock, rules, shows, watch } = made;
  rules.set('ip kube-vip-lb', [1]);
  made.error = new KernelError({ op: 'read nf_tables', errno: errnoOf.EAGAIN });
  await clock.advance(10_000);
  made.error = undefined;
  await clock.advance(10_000);
  assert.equal(shows(), 'holder 1, server 0');
  const { reads } = made;
  watch.close();
  await clock.advance(60_000);
  assert.equal(made.reads, reads);
});
