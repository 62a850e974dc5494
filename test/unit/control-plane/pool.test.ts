import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discover } from '../../../src/control-plane/balancer/discovery.ts';
import {
  emptyPool,
  serversOf,
  stepPool,
  type PoolEvent,
  type PoolOptions,
  type PoolState,
} from '../../../src/control-plane/balancer/pool.ts';
import type { NodeObject } from '../../../src/kube/types.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';

const options: PoolOptions = { rise: 2, fall: 2, drainMs: 10_000, togetherMs: 5000, slowStartMs: 0 };
const a = ip('10.0.0.1');
const b = ip('10.0.0.2');
const c = ip('10.0.0.3');
const both: PoolEvent = {
  kind: 'candidates',
  candidates: [
    { node: 'a', address: a },
    { node: 'b', address: b },
  ],
};
const ok = (address: Ip): PoolEvent => ({ kind: 'probe', address, problem: undefined });
/** Nobody answered. */
const bad = (address: Ip): PoolEvent => ({ kind: 'probe', address, problem: 'no answer' });
const refused = (address: Ip): PoolEvent => ({
  kind: 'probe',
  address,
  problem: 'refused',
  isRefused: true,
});
/** It answered that it does not want to serve. */
const unwell = (address: Ip): PoolEvent => ({
  kind: 'probe',
  address,
  problem: '/readyz answered 500',
  isAnswered: true,
});
const candidates = (...names: readonly ('a' | 'b' | 'c')[]): PoolEvent => ({
  kind: 'candidates',
  candidates: names.map((node) => ({ node, address: { a, b, c }[node] })),
});

function play(
  events: readonly PoolEvent[],
  from: PoolState = emptyPool,
  with_ = options,
  now = 0,
): PoolState {
  return events.reduce((state, event) => stepPool(state, event, with_, now), from);
}

function show(state: PoolState, with_ = options, now = 0): string {
  const { servers, keeping } = serversOf(state, with_, now);
  return servers.map((s) => `${s.address}:${s.state}:${s.weight}`).join(' ') + (keeping ? ' (keeping)' : '');
}

const serving = play([both, ok(a), ok(b)]);

test('before the first probe all serve, after it only those that answered', () => {
  assert.equal(show(play([both])), '10.0.0.1:active:1 10.0.0.2:active:1');
  // The other may have served before and keeps its connections until it has had its chance.
  assert.equal(show(play([both, ok(a)])), '10.0.0.1:active:1 10.0.0.2:draining:0');
  assert.equal(show(play([both, ok(a), ok(b)])), '10.0.0.1:active:1 10.0.0.2:active:1');
});

test('who serves without having answered is no help for clients that others refuse', () => {
  const proven = (state: PoolState): readonly Ip[] =>
    serversOf(state, options, 0).servers.flatMap(({ address, isProven }) => (isProven ? [address] : []));
  assert.deepEqual(proven(play([both])), []);
  assert.deepEqual(proven(play([both, ok(a)])), [a]);
  assert.deepEqual(proven(serving), [a, b]);
  assert.deepEqual(proven(play([refused(b)], serving)), [a]);
  // The last good set.
  assert.deepEqual(proven(play([refused(b), refused(a)], serving)), []);
});

test('a server that does not answer after a take-over is dead after `fall` failures, or one refusal', () => {
  assert.equal(show(play([both, ok(a), bad(b)])), '10.0.0.1:active:1 10.0.0.2:draining:0');
  assert.equal(show(play([both, ok(a), bad(b), bad(b)])), '10.0.0.1:active:1 10.0.0.2:dead:0');
  assert.equal(show(play([both, refused(b), ok(a)])), '10.0.0.1:active:1 10.0.0.2:dead:0');
});

test('nothing changes after a take-over at which no server answers', () => {
  assert.equal(show(play([both, refused(b)])), '10.0.0.1:active:1 10.0.0.2:active:1');
  assert.equal(show(play([both, refused(b), refused(a)])), '10.0.0.1:active:1 10.0.0.2:active:1 (keeping)');
});

test('a server that was dead already is not used because the other one has to prove itself again', () => {
  const alone = play([refused(b), ok(a)], serving, options, 1000);
  const again = play([candidates('b'), candidates('a', 'b')], alone, options, 2000);
  assert.equal(show(again), '10.0.0.1:active:1 10.0.0.2:dead:0');
});

test('a newcomer gets nothing before it has answered, and is no part of the last good set', () => {
  const three = play([candidates('a', 'b', 'c')], serving);
  assert.equal(show(three), '10.0.0.1:active:1 10.0.0.2:active:1');
  assert.equal(show(play([ok(c)], three)), '10.0.0.1:active:1 10.0.0.2:active:1 10.0.0.3:active:1');
  const none = play(
    [a, b, c].flatMap((each) => [bad(each), bad(each)]),
    three,
  );
  assert.equal(show(none), '10.0.0.1:active:1 10.0.0.2:active:1 (keeping)');
});

test('a server whose Node was not ready for a moment keeps its connections, however late its probe answers', () => {
  const back = play([candidates('a'), candidates('a', 'b')], serving);
  assert.equal(show(back), '10.0.0.1:active:1 10.0.0.2:draining:0');
  assert.equal(show(play([bad(b), bad(b)], back)), '10.0.0.1:active:1 10.0.0.2:dead:0');
  assert.equal(show(play([ok(b)], back)), '10.0.0.1:active:1 10.0.0.2:active:1');
});

test('a server that answers with an error gets no connections and keeps those it has for the drain time', () => {
  const unready = play([unwell(b), unwell(b)], serving, options, 1000);
  assert.equal(show(unready), '10.0.0.1:active:1 10.0.0.2:draining:0');
  assert.match(show(play([ok(a), unwell(b)], unready, options, 10_999)), /2:draining/);
  assert.match(show(play([ok(a), unwell(b)], unready, options, 11_000)), /2:dead/);
  // It has shut down.
  assert.match(show(play([refused(b)], unready, options, 2000)), /2:dead/);
  assert.match(show(play([bad(b), bad(b)], unready, options, 2000)), /2:dead/);
});

test('nobody is dead while nobody answers: the first to fail of all keeps its connections', () => {
  const first = play([bad(a), bad(b), bad(a)], serving);
  assert.equal(show(first), '10.0.0.1:draining:0 10.0.0.2:active:1');
  assert.equal(show(play([bad(b)], first)), '10.0.0.1:active:1 10.0.0.2:active:1 (keeping)');
  assert.equal(show(play([ok(b)], first)), '10.0.0.1:dead:0 10.0.0.2:active:1');
});

test('without a drain time a server whose Node goes is forgotten at once', () => {
  const hasty = { ...options, drainMs: 0 };
  assert.equal(show(play([candidates('a')], serving, hasty), hasty), '10.0.0.1:active:1');
});

test('a probed server leaves after `fall` failures in a row and returns after `rise` successes', () => {
  assert.equal(show(play([bad(b)], serving)), '10.0.0.1:active:1 10.0.0.2:active:1');
  assert.equal(show(play([bad(b), ok(b), bad(b)], serving)), '10.0.0.1:active:1 10.0.0.2:active:1');
  const failed = play([bad(b), bad(b)], serving);
  assert.equal(show(failed), '10.0.0.1:active:1 10.0.0.2:dead:0');
  assert.equal(show(play([ok(b)], failed)), '10.0.0.1:active:1 10.0.0.2:dead:0');
  assert.equal(show(play([ok(b), ok(b)], failed)), '10.0.0.1:active:1 10.0.0.2:active:1');
});

test('a server whose Node goes drains for its time and is forgotten', () => {
  const onlyA: PoolEvent = { kind: 'candidates', candidates: [{ node: 'a', address: a }] };
  const draining = play([onlyA], serving, options, 1000);
  assert.equal(show(draining), '10.0.0.1:active:1 10.0.0.2:draining:0');
  assert.equal(
    show(play([{ kind: 'tick' }], draining, options, 10_999)),
    '10.0.0.1:active:1 10.0.0.2:draining:0',
  );
  assert.equal(show(play([{ kind: 'tick' }], draining, options, 11_000)), '10.0.0.1:active:1');
});

test('when every probe fails the last good set goes on serving and says so', () => {
  const none = play([bad(a), bad(a), bad(b), bad(b)], serving, options, 3000);
  assert.equal(show(none), '10.0.0.1:active:1 10.0.0.2:active:1 (keeping)');
  assert.equal(show(play([ok(a), ok(a)], none)), '10.0.0.1:active:1 10.0.0.2:dead:0');
});

test('a server that died long before the others is not part of the last good set', () => {
  const early = play([bad(a), bad(a)], serving, options, 1000);
  const none = play([bad(b), bad(b)], early, options, 20_000);
  assert.equal(show(none), '10.0.0.1:dead:0 10.0.0.2:active:1 (keeping)');
});

test('slow start raises the weight of a new server step by step', () => {
  const slow = { ...options, slowStartMs: 10_000 };
  const state = play([both, ok(a)], emptyPool, slow, 0);
  assert.match(show(state, slow, 0), /^10.0.0.1:active:1 /);
  assert.match(show(state, slow, 5000), /^10.0.0.1:active:5 /);
  assert.match(show(state, slow, 20_000), /^10.0.0.1:active:10 /);
});

function node(name: string, addresses: string[], ready = true, labelled = true): NodeObject {
  return {
    metadata: { name, labels: labelled ? { 'node-role.kubernetes.io/control-plane': '' } : {} },
    status: {
      addresses: addresses.map((address) => ({ type: 'InternalIP', address })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

test('CP-165 an IPv6 VIP is served by IPv6 InternalIPs of ready control-plane nodes only', () => {
  const nodes = [
    node('a', ['10.0.0.1', 'fd00::1']),
    node('b', ['fd00:0::2'], false),
    node('c', ['fd00::3'], true, false),
    node('d', ['fd00::4', 'rubbish']),
  ];
  assert.deepEqual(
    discover(nodes, 6, []).candidates.map(({ address }) => address),
    ['fd00::1', 'fd00::4'],
  );
  assert.deepEqual(
    discover(nodes, 4, []).candidates.map(({ node: name }) => name),
    ['a'],
  );
});

test('when no control-plane node is ready those that are not are the last resort', () => {
  const nodes = [
    node('a', ['10.0.0.1'], false),
    node('b', ['10.0.0.2'], false),
    node('c', ['10.0.0.3'], false, false),
  ];
  const { candidates: found, areUnready } = discover(nodes, 4, []);
  assert.deepEqual([found.map(({ node: name }) => name), areUnready], [['a', 'b'], true]);
  assert.deepEqual(discover([...nodes, node('d', ['10.0.0.4'])], 4, []), {
    candidates: [{ node: 'd', address: '10.0.0.4' }],
    areUnready: false,
  });
  assert.deepEqual(discover(nodes, 6, []), { candidates: [], areUnready: false });
});

test('a VIP is no server, although a kubelet reports it as an address of its Node', () => {
  const nodes = [node('a', ['10.0.0.100', '10.0.0.1']), node('b', ['10.0.0.100'])];
  assert.deepEqual(discover(nodes, 4, [ip('10.0.0.100')]).candidates, [{ node: 'a', address: '10.0.0.1' }]);
});

test('an InternalIP at which no other machine can be reached is no server', () => {
  const nodes = [
    node('a', ['127.0.0.1', '::1', '0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'fe80::1']),
    node('b', ['10.0.0.2', 'fd00::2']),
  ];
  const found = ([4, 6] as const).map((family) => discover(nodes, family, []).candidates);
  assert.deepEqual(found, [[{ node: 'b', address: '10.0.0.2' }], [{ node: 'b', address: 'fd00::2' }]]);
});
