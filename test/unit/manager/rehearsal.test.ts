import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { silentLogger } from '../../../src/lib/log.ts';
import { systemClock } from '../../../src/linux/index.ts';
import { rehearse, rehearseOnStandby } from '../../../src/manager/rehearsal.ts';
import type { ServicesOptions } from '../../../src/services/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const options: ServicesOptions = {
  node: 'node-1',
  legacyClass: true,
  classOnly: false,
  className: '',
  dnsMode: 'first',
  perServiceElection: false,
  electionOnDemand: false,
  globalLease: 'kube-system/plndr-svcs-lock',
  mainLink: 'eth0',
  servicesLink: '',
  prefix4: 32,
  prefix6: 128,
  globalScopeOnLo: false,
  noDad: false,
  mark: 248,
  reserved: new Map(),
  announcePeriodMs: 3000,
  reach: 'layer2',
  attach: false,
  guarded: false,
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  preserve: false,
  debounceMs: 0,
  leftoverGraceMs: 3000,
  writeStatus: true,
  everyNode: false,
};

/** An operator that stands by with so many Services, and the number of stages that were set up beside it. */
function standby(known: number, with_: Partial<ServicesOptions> = {}) {
  const clock = new FakeClock();
  const state = { known, advertised: [] as string[], busy: false, waiting: undefined as string | undefined };
  const lines: string[] = [];
  const rehearsal = rehearseOnStandby({
    clock,
    log: { ...silentLogger, debug: (message) => lines.push(message), warn: (message) => lines.push(message) },
    options: { ...options, ...with_ },
    operator: {
      known: () => state.known,
      advertised: () => state.advertised,
      isBusy: () => state.busy,
      waitingFor: () => state.waiting,
    },
  });
  /** Long enough for a rehearsal to be over. */
  const pass = async (ms: number): Promise<readonly string[]> => {
    await clock.advance(ms);
    for (let i = 0; i < 200; i++) {
      await turn();
      await clock.advance(1);
    }
    return lines.splice(0);
  };
  return { clock, state, rehearsal, pass };
}

test('a rehearsal puts its VIPs on the link of the stage, twice, and leaves no timer behind', async () => {
  const clock = systemClock();
  assert.equal(await rehearse(clock, options, new AbortController().signal), 512);
  assert.deepEqual(
    clock.timers().map(({ name }) => name),
    [],
  );
});

test('a rehearsal in the guise of other settings puts as many there', async () => {
  const guise = { ...options, className: 'x', classOnly: true, legacyClass: false, guarded: true };
  const other = {
    ...guise,
    prefix4: 'auto' as const,
    servicesLink: 'eth1',
    preserve: true,
    debounceMs: 500,
    everyNode: true,
  };
  assert.equal(await rehearse(systemClock(), other, new AbortController().signal), 512);
});

test('a rehearsal ends with the turn under way when the real play begins', async () => {
  const abort = new AbortController();
  const clock = systemClock();
  const rehearsal = rehearse(clock, options, abort.signal);
  await turn();
  abort.abort();
  const vips = await rehearsal;
  assert.ok(vips < 512, `${vips}`);
  assert.deepEqual(clock.timers(), []);
});

test('a node that stands by with many Services rehearses once', async () => {
  const { pass } = standby(1000);
  assert.deepEqual(await pass(3000), []);
  assert.deepEqual(await pass(1000), ['a take-over was rehearsed']);
  assert.deepEqual(await pass(60_000), []);
});

test('it waits until the Services are known, are enough and have stopped coming', async () => {
  const { pass, state } = standby(0);
  assert.deepEqual(await pass(3000), []);
  for (let known = 500; known < 1000; known += 50) {
    state.known = known;
    assert.deepEqual(await pass(1300), []);
  }
  state.known = 1000;
  state.waiting = 'Services have not been listed yet';
  assert.deepEqual(await pass(5000), []);
  state.waiting = undefined;
  state.busy = true;
  assert.deepEqual(await pass(10_000), []);
  state.busy = false;
  assert.deepEqual(await pass(20_000), ['a take-over was rehearsed']);
});

test('a node that has some on its links, and one that was told so meanwhile, need none', async () => {
  const holder = standby(1000);
  holder.state.advertised = ['default/a'];
  assert.deepEqual(await holder.pass(60_000), []);
  assert.deepEqual(holder.clock.timers(), []);
  const chosen = standby(1000);
  chosen.rehearsal.end();
  assert.deepEqual(await chosen.pass(60_000), []);
  assert.deepEqual(chosen.clock.timers(), []);
});

test('where no many VIPs are taken over at once nothing is rehearsed', async () => {
  assert.deepEqual(await standby(1000, { perServiceElection: true }).pass(60_000), []);
  assert.deepEqual(await standby(1000, { reach: 'bgp' }).pass(60_000), []);
});
