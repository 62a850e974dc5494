import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/linux/clock.ts';
import { AttributeTable, text, u16, u32 } from '../../../src/linux/netlink/attributes.ts';
import type { NetlinkMessage } from '../../../src/linux/netlink/message.ts';
import { NETLINK_GENERIC, NetlinkSocket } from '../../../src/linux/netlink/socket.ts';
import { NlReader, NlWriter } from '../../../src/linux/netlink/wire.ts';
import { Poller } from '../../../src/linux/poll.ts';

// Generic netlink's controller is in every kernel and asks for no privilege (linux/genetlink.h).
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const family = new AttributeTable('genetlink family', { id: [1, u16], name: [2, text], version: [3, u32] });

function query(name?: string): Uint8Array {
  const writer = new NlWriter().u8(CTRL_CMD_GETFAMILY).u8(1).u16(0);
  family.encode(writer, { name });
  return writer.done();
}

function decode({ payload }: NetlinkMessage): { id?: number | undefined; name?: string | undefined } {
  const reader = new NlReader('genetlink', payload);
  reader.bytesOf('header', 4);
  return family.decode(reader);
}

function withSocket<T>(body: (socket: NetlinkSocket) => T): T {
  const socket = new NetlinkSocket(NETLINK_GENERIC, new Poller(systemClock()));
  try {
    return body(socket);
  } finally {
    socket.close();
  }
}

const get = (name: string) => ({
  doing: { op: 'find family', object: name },
  type: GENL_ID_CTRL,
  payload: query(name),
});

test('a request is answered inside the call, for any protocol', () => {
  withSocket((socket) => {
    const [reply] = socket.request(get('nlctrl'));
    assert.ok(reply);
    assert.deepEqual([decode(reply).id, decode(reply).name], [GENL_ID_CTRL, 'nlctrl']);
  });
});

test('a refusal is thrown with operation and object', () => {
  withSocket((socket) => {
    assert.throws(() => socket.request(get('no_such_family')), {
      code: 'KERNEL',
      errnoName: 'ENOENT',
      op: 'find family',
      object: 'no_such_family',
    });
  });
});

test('the requests of a batch have their own replies and errors, in order', () => {
  withSocket((socket) => {
    const names = Array.from({ length: 600 }, (_, i) => (i % 3 === 1 ? `none${i}` : 'nlctrl'));
    const outcomes = socket.batch(names.map(get));
    assert.equal(outcomes.length, 600);
    outcomes.forEach(({ error, replies }, i) => {
      assert.equal(error?.object, i % 3 === 1 ? `none${i}` : undefined);
      assert.equal(replies.length, i % 3 === 1 ? 0 : 1);
    });
    assert.deepEqual(socket.batch([]), []);
  });
});

test('a dump collects every message and decodes it; two at once do not disturb each other', async () => {
  const socket = new NetlinkSocket(NETLINK_GENERIC, new Poller(systemClock()));
  const dump = () =>
    socket.dump({ doing: { op: 'dump families' }, type: GENL_ID_CTRL, payload: query() }, decode);
  const both = Promise.all([dump(), dump()]);
  const [reply] = socket.request(get('nlctrl'));
  assert.ok(reply);
  const [first, second] = await both;
  assert.ok(first.some(({ name }) => name === 'nlctrl'));
  assert.deepEqual(first, second);
  socket.close();
});
