import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ip, type Mac } from '../../../src/lib/ip.ts';
import {
  decodeDhcpFrame,
  encodeDhcpFrame,
  stepDhcp,
  stoppedDhcp,
  type DhcpContext,
  type DhcpEffect,
  type DhcpEvent,
  type DhcpMessage,
  type DhcpState,
} from '../../../src/protocols/index.ts';

const mac = '02:00:00:00:00:01' as Mac;
const serverMac = '02:00:00:00:00:02' as Mac;
const broadcast = 'ff:ff:ff:ff:ff:ff' as Mac;
const link = { hardwareType: 1, mac, broadcast } as const;
const [none, everybody] = [ip('0.0.0.0'), ip('255.255.255.255')];
const [server, vip] = [ip('192.0.2.1'), ip('192.0.2.110')];

describe('the codec', () => {
  const discover: DhcpMessage = {
    op: 'request',
    type: 'discover',
    xid: 0x01020304,
    secs: 5,
    ciaddr: none,
    yiaddr: none,
    chaddr: mac,
    hostName: 'api',
    clientId: new TextEncoder().encode('api'),
    maxMessageBytes: 1500,
  };

  test('CP-145 a discovery as RFC 2131 figure 1 has it, with options 12 and 61', () => {
    const frame = encodeDhcpFrame(link, broadcast, { from: none, to: everybody, message: discover });
    const hex = Buffer.from(frame).toString('hex');
    // Ethernet to everybody; IPv4 of 328 bytes, UDP, 0.0.0.0 to 255.255.255.255; ports 68 and 67.
    assert.match(
      hex,
      /^ffffffffffff0200000000010800450001480000000040117[0-9a-f]{3}00000000ffffffff004400430134/,
    );
    const body = hex.slice(2 * (14 + 20 + 8));
    assert.match(body, /^010106000102030400050000(00000000){4}020000000001(00){10}(00){192}63825363/);
    const options = '63825363 350101 3d03617069 0c03617069 390205dc 370433363a3b ff'.replaceAll(' ', '');
    assert.match(body, new RegExp(`${options}(00)+$`));
    assert.equal(body.length / 2, 300);
    // The header's checksum is right: over the header with it, nothing is left.
    const words = new DataView(frame.buffer, frame.byteOffset + 14, 20);
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += words.getUint16(i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
    assert.deepEqual(decodeDhcpFrame(frame), { fromMac: mac, from: none, to: everybody, message: discover });
  });

  /** A reply with these option bytes, and those in `file` and `sname`. */
  function reply(
    options: readonly number[],
    file: readonly number[] = [],
    sname: readonly number[] = [],
  ): Uint8Array {
    const body = new Uint8Array(240 + options.length);
    body.set([2, 1, 6, 0, 1, 2, 3, 4]);
    body.set([192, 0, 2, 110], 16);
    body.set([2, 0, 0, 0, 0, 1], 28);
    body.set(sname, 44);
    body.set(file, 108);
    body.set([0x63, 0x82, 0x53, 0x63, ...options], 236);
    const frame = new Uint8Array(14 + 20 + 8 + body.length);
    frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
    const view = new DataView(frame.buffer);
    view.setUint16(16, 28 + body.length);
    frame.set([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 110, 0, 67, 0, 68], 22);
    view.setUint16(38, 8 + body.length);
    frame.set(body, 42);
    return frame;
  }

  test('options go on in the fields of names, and where they come again', () => {
    const { message } = decodeDhcpFrame(
      reply([53, 1, 5, 52, 1, 3, 54, 2, 192, 0, 255], [51, 4, 0, 0, 0, 120, 255], [0, 54, 2, 2, 1, 255]),
    );
    assert.equal(message.type, 'ack');
    assert.equal(message.serverId, '192.0.2.1');
    assert.equal(message.leaseSeconds, 120);
    assert.equal(message.yiaddr, vip);
  });

  test('what is broken is refused', () => {
    assert.throws(() => decodeDhcpFrame(reply([53, 1])), /option 53/);
    assert.throws(() => decodeDhcpFrame(reply([255])), /message type/);
    assert.throws(() => decodeDhcpFrame(reply([53, 1, 9, 255])), /message type/);
    assert.throws(() => decodeDhcpFrame(reply([53, 1, 5, 54, 3, 1, 2, 3, 255])), /option 54/);
    const fragment = reply([53, 1, 5, 255]);
    fragment[20] = 0x20;
    assert.throws(() => decodeDhcpFrame(fragment), /fragment/);
    const long = reply([53, 1, 5, 255]);
    long[38] = 0xff;
    assert.throws(() => decodeDhcpFrame(long), /datagram/);
  });
});

/** A client with a clock of its own; what it does is told in short words. */
function client(attempts = 3) {
  let now = 0;
  let state: DhcpState = stoppedDhcp;
  const context = (): DhcpContext => ({ now, random: () => 0.5, mac, hostName: 'api', attempts });
  const show = (effect: DhcpEffect): string => {
    if (effect.kind === 'leased') return `leased ${effect.address}`;
    if (effect.kind === 'lost') return `lost ${effect.reason}`;
    if (effect.kind === 'gave-up') return 'gave up';
    const { type, ciaddr, requestedIp, serverId } = effect.message;
    const whom = effect.toMac === undefined ? 'all' : `${effect.to} by ${effect.toMac}`;
    return [
      type,
      `from ${ciaddr}`,
      requestedIp && `for ${requestedIp}`,
      serverId && `server ${serverId}`,
      `to ${whom}`,
    ]
      .filter((word) => word !== undefined)
      .join(' ');
  };
  const take = (event: DhcpEvent): readonly string[] => {
    const step = stepDhcp(state, event, context());
    state = step.state;
    return step.effects.map(show);
  };
  const answer = (type: DhcpMessage['type'], fields: Partial<DhcpMessage> = {}): readonly string[] => {
    const xid = 'xid' in state ? state.xid : 0;
    const base = { op: 'reply', type, xid, secs: 0, ciaddr: none, yiaddr: vip, chaddr: mac } as const;
    const message: DhcpMessage = { ...base, serverId: server, leaseSeconds: 120, ...fields };
    return take({ kind: 'received', packet: { fromMac: serverMac, from: server, to: vip, message } });
  };
  return {
    take,
    answer,
    phase: () => state.phase,
    /** Lets the time pass in seconds, and returns what was done with its second. */
    pass: (seconds: number): readonly string[] => {
      const done: string[] = [];
      const end = now + seconds * 1000;
      while (state.phase !== 'stopped' && state.wakeAt <= end) {
        now = Math.max(now, state.wakeAt);
        done.push(...take({ kind: 'tick' }).map((what) => `${now / 1000} ${what}`));
      }
      now = end;
      return done;
    },
    /** Lets the time pass in seconds, in which the process does not run. */
    sleep: (seconds: number): readonly string[] => {
      now += seconds * 1000;
      return take({ kind: 'tick' });
    },
    bind(): void {
      take({ kind: 'start', known: undefined });
      this.answer('offer');
      this.answer('ack');
      assert.equal(state.phase, 'bound');
    },
  };
}

const start = { kind: 'start', known: undefined } as const;

describe('the client', () => {
  test('CP-145 discovers, takes the first offer and uses what is acknowledged', () => {
    const { take, answer, phase } = client();
    assert.deepEqual(take(start), ['discover from 0.0.0.0 to all']);
    assert.deepEqual(answer('offer'), [`request from 0.0.0.0 for ${vip} server ${server} to all`]);
    assert.deepEqual(answer('offer', { yiaddr: ip('192.0.2.111') }), [], 'a second offer');
    assert.deepEqual(answer('ack'), [`leased ${vip}`]);
    assert.equal(phase(), 'bound');
  });

  test('CP-146 renews at half of the time with its server, rebinds at 7/8 with all, and ends with it', () => {
    const one = client();
    one.bind();
    assert.deepEqual(one.pass(119), [
      `60 request from ${vip} to ${server} by ${serverMac}`,
      `105 request from ${vip} to all`,
    ]);
    assert.deepEqual(one.pass(1), ['120 lost ended', '120 discover from 0.0.0.0 to all']);
  });

  test('CP-146 of an address whose time has ended while the process slept it asks nothing', () => {
    const one = client();
    one.bind();
    assert.deepEqual(one.sleep(120), ['lost ended', 'discover from 0.0.0.0 to all']);
  });

  test('CP-146 a renewal counts from when it was asked for; the address stays', () => {
    const one = client();
    one.bind();
    one.pass(60);
    assert.equal(one.phase(), 'renewing');
    assert.deepEqual(one.answer('ack'), []);
    assert.equal(one.phase(), 'bound');
    assert.deepEqual(one.pass(59), []);
    assert.deepEqual(one.pass(1), [`120 request from ${vip} to ${server} by ${serverMac}`]);
    assert.deepEqual(one.answer('ack', { yiaddr: ip('192.0.2.111') }), ['leased 192.0.2.111']);
    one.pass(60);
    assert.deepEqual(one.answer('nak'), ['lost refused', 'discover from 0.0.0.0 to all']);
  });

  test('CP-146 of a long time it asks again at half of what is left, a minute at least', () => {
    const one = client();
    one.take(start);
    one.answer('offer');
    one.answer('ack', { leaseSeconds: 960 });
    assert.deepEqual(
      one.pass(959).map((line) => line.split(' ')[0]),
      ['480', '660', '750', '810', '840', '900'],
    );
  });

  test('CP-146 the times of the server count where they make sense', () => {
    const times = (fields: Partial<DhcpMessage>): readonly string[] => {
      const one = client();
      one.take(start);
      one.answer('offer');
      one.answer('ack', fields);
      return one.pass(119).map((line) => line.split(' ')[0] ?? '');
    };
    assert.deepEqual(times({ renewSeconds: 30, rebindSeconds: 100 }), ['30', '90', '100']);
    assert.deepEqual(times({ renewSeconds: 110, rebindSeconds: 200 }), ['60', '105']);
    assert.deepEqual(times({ renewSeconds: 0, rebindSeconds: 0 }), ['60', '105']);
    assert.deepEqual(times({ leaseSeconds: 0xffffffff }), [], 'for ever');
  });

  test('CP-146 it gives the address back when it is told to, and else says nothing', () => {
    const one = client();
    one.bind();
    const released = one.take({ kind: 'stop', release: true });
    assert.deepEqual(released, [`release from ${vip} server ${server} to ${server} by ${serverMac}`]);
    assert.deepEqual(one.pass(1000), []);
    one.bind();
    assert.deepEqual(one.take({ kind: 'stop', release: false }), []);
    one.take(start);
    assert.deepEqual(one.take({ kind: 'stop', release: true }), [], 'nothing to give back');
  });

  test('CP-147 without a server it asks thrice in each attempt, pauses, and gives up', () => {
    const one = client(2);
    one.take(start);
    assert.deepEqual(one.pass(1000), [
      '4 discover from 0.0.0.0 to all',
      '12 discover from 0.0.0.0 to all',
      '43 discover from 0.0.0.0 to all',
      '47 discover from 0.0.0.0 to all',
      '55 discover from 0.0.0.0 to all',
      '71 gave up',
    ]);
    const forever = client(0);
    forever.take(start);
    assert.ok(forever.pass(100_000).length > 1000);
  });

  test('a node that had the address asks for that one first', () => {
    const known = { kind: 'start', known: vip } as const;
    const one = client();
    assert.deepEqual(one.take(known), [`request from 0.0.0.0 for ${vip} to all`]);
    assert.deepEqual(one.answer('nak'), ['discover from 0.0.0.0 to all']);
    const two = client();
    two.take(known);
    assert.deepEqual(two.answer('ack'), [`leased ${vip}`]);
    const three = client();
    three.take(known);
    assert.deepEqual(three.pass(4), ['4 discover from 0.0.0.0 to all']);
  });

  test('what is for others, or of no use, changes nothing', () => {
    const one = client();
    one.take(start);
    assert.deepEqual(one.answer('offer', { xid: 1 }), []);
    assert.deepEqual(one.answer('offer', { chaddr: serverMac }), []);
    assert.deepEqual(one.answer('offer', { op: 'request' }), []);
    assert.deepEqual(one.answer('ack'), []);
    assert.deepEqual(one.answer('offer', { yiaddr: none }), []);
    assert.deepEqual(one.answer('offer', { yiaddr: ip('224.0.0.1') }), []);
    assert.deepEqual(one.answer('offer', { leaseSeconds: 0 }), []);
    assert.equal(one.phase(), 'selecting');
    assert.equal(one.answer('offer').length, 1);
    assert.deepEqual(one.answer('nak'), []);
    assert.equal(one.phase(), 'pausing');
  });
});
