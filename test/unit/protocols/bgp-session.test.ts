import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip } from '../../../src/lib/ip.ts';
import {
  stepSession,
  stoppedSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
} from '../../../src/protocols/bgp/machine.ts';
import { openMessage, type SessionConfig } from '../../../src/protocols/bgp/open.ts';
import type { BgpMessage, OpenMessage } from '../../../src/protocols/bgp/types.ts';

const config: SessionConfig = {
  localAs: 65_000,
  peerAs: 65_001,
  routerId: ip('10.0.0.1'),
  holdTime: 30,
  keepaliveInterval: 10,
  connectRetry: 10,
  families: [4, 6],
  host: 'node-a',
};
/** No jitter: a time is the longest it can be. */
const context = { config, random: () => 1 };

const peerOpen: OpenMessage = openMessage({
  ...config,
  localAs: 65_001,
  routerId: ip('10.0.0.2'),
  host: 'router',
});
const heard = (message: BgpMessage): SessionEvent => ({ kind: 'message', message });
const keepalive = heard({ type: 'keepalive' });
const start: SessionEvent = { kind: 'start' };
const connected: SessionEvent = { kind: 'connected' };
const lost: SessionEvent = { kind: 'disconnected', why: 'reset' };
const fired = (timer: 'connectRetry' | 'hold' | 'keepalive' | 'idleHold'): SessionEvent => {
  return { kind: 'timer', timer };
};

/** Effects in short: `connect`, `send open`, `hold 30000`, `hold off` ... */
function brief(effects: readonly SessionEffect[]): readonly string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case 'send': {
        const { message } = effect;
        return message.type === 'notification'
          ? `send notification ${message.code}/${message.subcode}`
          : `send ${message.type}`;
      }
      case 'timer':
        return `${effect.timer} ${effect.ms ?? 'off'}`;
      case 'refresh':
        return `refresh ${effect.family}`;
      default:
        return effect.kind;
    }
  });
}

function run(events: readonly SessionEvent[], from: SessionState = stoppedSession, using = context) {
  let state = from;
  let step = stepSession(state, events[0] ?? start, using);
  for (const event of events) {
    step = stepSession(state, event, using);
    state = step.state;
  }
  return { ...step, does: brief(step.effects).filter((effect) => !effect.endsWith(' off')) };
}

const toOpenSent = [start, connected];
const toOpenConfirm = [...toOpenSent, heard(peerOpen)];
const toEstablished = [...toOpenConfirm, keepalive];

describe('a BGP session', () => {
  test('BGP-07 opens step by step: connect, OPEN, KEEPALIVE, established', () => {
    assert.deepEqual(run([start]).does, ['connectRetry 10000', 'connect']);
    assert.deepEqual(run(toOpenSent).does, ['send open', 'hold 240000']);
    assert.deepEqual(run(toOpenConfirm).does, ['send keepalive', 'hold 30000', 'keepalive 10000']);
    const up = run(toEstablished);
    assert.deepEqual(up.does, ['hold 30000', 'established']);
    assert.equal(up.state.kind, 'established');
  });

  test('the connect retry timer starts the next attempt, and ends one that hangs', () => {
    const refused = run([start, lost]);
    assert.equal(refused.state.kind, 'active');
    assert.deepEqual(refused.does, ['connectRetry 1000']);
    assert.deepEqual(run([start, lost, fired('connectRetry')]).does, ['connectRetry 10000', 'connect']);
    const hung = run([start, fired('connectRetry')]);
    assert.deepEqual(hung.does, ['disconnect', 'connectRetry 10000', 'connect']);
    assert.equal(hung.reason, 'not connected');
    assert.match(hung.detail ?? '', /^no answer/);
  });

  test('every message of an established session starts the hold timer anew; its end is told and ends it', () => {
    assert.deepEqual(run([...toEstablished, keepalive]).does, ['hold 30000']);
    assert.deepEqual(run([...toEstablished, heard({ type: 'update', body: new Uint8Array(4) })]).does, [
      'hold 30000',
    ]);
    const expired = run([...toEstablished, fired('hold')]);
    assert.deepEqual(expired.does, ['send notification 4/0', 'disconnect', 'idleHold 1000']);
    assert.equal(expired.reason, 'hold timer expired');
  });

  test('keepalives go on by themselves', () => {
    assert.deepEqual(run([...toEstablished, fired('keepalive')]).does, ['send keepalive', 'keepalive 10000']);
    assert.deepEqual(run([...toOpenConfirm, fired('keepalive')]).does, ['send keepalive', 'keepalive 10000']);
  });

  test('the shorter hold time counts, and keepalives fit into it three times', () => {
    const hasty = heard({ ...peerOpen, holdTime: 9 });
    assert.deepEqual(run([...toOpenSent, hasty]).does, ['send keepalive', 'hold 9000', 'keepalive 3000']);
  });

  test('with a hold time of 0 nobody watches anybody', () => {
    const silent = heard({ ...peerOpen, holdTime: 0 });
    assert.deepEqual(run([...toOpenSent, silent]).does, ['send keepalive']);
  });

  test('an ended session comes back by itself, later each time while it does not last', () => {
    let state: SessionState = run(toEstablished).state;
    const waits: (string | undefined)[] = [];
    for (let n = 0; n < 6; n++) {
      const step = stepSession(state, lost, context);
      waits.push(brief(step.effects).find((effect) => /idleHold \d/.test(effect)));
      const again: readonly SessionEvent[] = [fired('idleHold'), connected, heard(peerOpen), keepalive];
      state = run(again, step.state).state;
      assert.equal(state.kind, 'established');
    }
    assert.deepEqual(waits, [
      'idleHold 1000',
      'idleHold 2000',
      'idleHold 4000',
      'idleHold 8000',
      'idleHold 10000',
      'idleHold 10000',
    ]);
    const lasted = run([keepalive, lost], state);
    assert.ok(lasted.does.includes('idleHold 1000'), 'one that has lasted starts from the beginning');
  });

  test('a connection lost before the peer has opened is tried again by the connect retry timer, soon', () => {
    const step = run([...toOpenSent, lost]);
    assert.equal(step.state.kind, 'active');
    assert.deepEqual(step.does, ['connectRetry 1000']);
  });

  test('a NOTIFICATION ends it without an answer', () => {
    const told = run([
      ...toEstablished,
      heard({ type: 'notification', code: 6, subcode: 4, data: new Uint8Array() }),
    ]);
    assert.deepEqual(told.does, ['disconnect', 'idleHold 1000']);
    assert.equal(told.detail, 'cease, administrative reset (6/4)');
  });

  test('a message out of turn is answered with the state it came in (RFC 6608)', () => {
    assert.ok(run([...toOpenSent, keepalive]).does.includes('send notification 5/1'));
    assert.ok(run([...toOpenConfirm, heard(peerOpen)]).does.includes('send notification 5/2'));
    assert.ok(run([...toEstablished, heard(peerOpen)]).does.includes('send notification 5/3'));
  });

  test('what is no message is answered as the decoder says', () => {
    const notification = { code: 1, subcode: 1, data: new Uint8Array() };
    const step = run([...toEstablished, { kind: 'garbage', notification, why: 'marker' }]);
    assert.deepEqual(step.does, ['send notification 1/1', 'disconnect', 'idleHold 1000']);
  });

  test('stopping says Cease where there is somebody to tell, and nothing restarts it', () => {
    const stop: SessionEvent = { kind: 'stop', subcode: 3 };
    assert.deepEqual(run([...toEstablished, stop]).does, ['send notification 6/3', 'disconnect']);
    assert.deepEqual(run([start, stop]).does, ['disconnect']);
    assert.equal(run([...toEstablished, stop, fired('idleHold')]).reason, 'ignored');
    assert.equal(run([...toEstablished, stop, lost]).reason, 'ignored');
  });

  test('the peer may ask for the routes of a family it speaks', () => {
    const ask = (afi: number): SessionEvent => heard({ type: 'route-refresh', afi, safi: 1 });
    assert.deepEqual(run([...toEstablished, ask(2)]).does, ['refresh 6']);
    assert.equal(run([...toEstablished, ask(25)]).reason, 'ignored');
  });
});

describe('the OPEN of a peer', () => {
  const answer = (open: Partial<OpenMessage>, using: Partial<SessionConfig> = {}) =>
    run([...toOpenSent, heard({ ...peerOpen, ...open })], stoppedSession, {
      ...context,
      config: { ...config, ...using },
    });
  const narrow = peerOpen.capabilities.filter(({ kind }) => kind !== 'four-octet-as');

  const refused: readonly (readonly [string, Partial<OpenMessage>, string])[] = [
    ['another version', { version: 3 }, '2/1'],
    ['another AS', { as: 65_002, capabilities: narrow }, '2/2'],
    [
      'another AS in the four-octet capability',
      { capabilities: [...narrow, { kind: 'four-octet-as', as: 70_000 }] },
      '2/2',
    ],
    ['router id 0', { routerId: ip('0.0.0.0') }, '2/3'],
    ['hold time 1', { holdTime: 1 }, '2/6'],
    ['hold time 2', { holdTime: 2 }, '2/6'],
  ];
  for (const [name, open, notification] of refused) {
    test(`with ${name} is refused with ${notification}`, () => {
      const step = answer(open);
      assert.ok(step.does.includes(`send notification ${notification}`), step.does.join(', '));
      assert.equal(step.state.kind, 'idle');
    });
  }

  test('our own router id is refused inside our AS only (RFC 6286)', () => {
    const ours = { routerId: config.routerId };
    assert.equal(answer(ours).state.kind, 'openConfirm');
    const inside = { ...ours, as: 65_000, capabilities: narrow };
    assert.ok(answer(inside, { peerAs: 65_000 }).does.includes('send notification 2/3'));
  });

  test('AS 0 in the configuration is anybody', () => {
    assert.equal(answer({}, { peerAs: 0 }).state.kind, 'openConfirm');
  });

  test('decides which families and how wide AS numbers are', () => {
    const { state } = answer({ capabilities: [{ kind: 'multiprotocol', afi: 2, safi: 1 }] });
    assert.ok(state.kind === 'openConfirm');
    assert.deepEqual(state.negotiated.families, [6]);
    assert.equal(state.negotiated.asOctets, 2);
    const plain = answer({ capabilities: [] });
    assert.ok(plain.state.kind === 'openConfirm');
    assert.deepEqual(plain.state.negotiated.families, [4]);
  });
});

test('BGP-05 an AS of four octets is AS_TRANS in the old field and whole in the capability', () => {
  const open = openMessage({ ...config, localAs: 4_200_000_000 });
  assert.equal(open.as, 23_456);
  assert.deepEqual(
    open.capabilities.find(({ kind }) => kind === 'four-octet-as'),
    { kind: 'four-octet-as', as: 4_200_000_000 },
  );
});
