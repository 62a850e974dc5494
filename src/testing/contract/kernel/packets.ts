import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkOf, refused, withSubject, type KernelSubject, type OpenSubject } from './subject.ts';

/** An EtherType for local experiments (IEEE 802), so that the kernel's own traffic does not disturb. */
const etherType = 0x88b5;

function frame(...payload: number[]): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.fill(0xff, 0, 6);
  bytes.set([2, 0, 0, 0, 0, 9, etherType >> 8, etherType & 0xff, ...payload], 6);
  return bytes;
}

/** Accepts frames whose first payload byte is 7. */
const sevens = [
  [0x30, 0, 0, 14], // ldb [14]
  [0x15, 0, 1, 7], // jeq #7
  [0x06, 0, 0, 0xffff], // ret all
  [0x06, 0, 0, 0], // ret 0
] as const;

/** Packet sockets and sysctl. */
export function packetContract(name: string, open: OpenSubject): void {
  /** A socket with that filter, and the first two payload bytes of each frame that it hears. */
  const hearSevens = (subject: KernelSubject) => {
    const got: (readonly [number, number])[] = [];
    const socket = subject.kernel.openPacketSocket({
      ifindex: linkOf(subject).index,
      etherType,
      filter: sevens,
      onFrame: (bytes) => void got.push([bytes[14] ?? 0, bytes[15] ?? 0]),
    });
    return { socket, got };
  };
  const on = (title: string, body: Parameters<typeof withSubject>[1]): void => {
    test(`${name}: ${title}`, () => withSubject(open, body));
  };

  on('frames leave as they are, also from a socket that does not listen', async (subject) => {
    const { index } = linkOf(subject);
    const socket = subject.kernel.openPacketSocket({ ifindex: index, etherType });
    socket.send(frame(1));
    socket.send(frame(2));
    let sent: readonly Uint8Array[] = [];
    await subject.until('both frames', async () => (sent = await subject.sent(etherType)).length >= 2);
    assert.deepEqual(
      sent.map((bytes) => Buffer.from(bytes)),
      [Buffer.from(frame(1)), Buffer.from(frame(2))],
    );
    socket.close();
  });

  on('frames of the EtherType arrive if the filter accepts them; our own do not', async (subject) => {
    const { socket, got } = hearSevens(subject);
    socket.send(frame(7, 99));
    subject.arrive(frame(6, 1));
    subject.arrive(frame(7, 2));
    const other = frame(7, 3);
    other[13] = 0xb6;
    subject.arrive(other);
    subject.arrive(frame(7, 4));
    assert.equal(got.length, 0);
    await subject.until('the last frame', () => got.some(([, serial]) => serial === 4));
    assert.deepEqual(got, [
      [7, 2],
      [7, 4],
    ]);
    socket.close();
  });

  on('another filter takes the place of the one before, on the same socket', async (subject) => {
    const { socket, got } = hearSevens(subject);
    socket.setFilter(sevens.map(([code, jt, jf, k]) => [code, jt, jf, k === 7 ? 8 : k]));
    subject.arrive(frame(7, 1));
    subject.arrive(frame(8, 2));
    await subject.until('the frame', () => got.length > 0);
    assert.deepEqual(got, [[8, 2]]);
    socket.close();
    refused('bug', () => socket.setFilter(sevens));
  });

  on(
    'a downed link refuses frames as `retry`; the same socket sends and hears again when it is up',
    async (subject) => {
      const { index } = linkOf(subject);
      const got: number[] = [];
      const socket = subject.kernel.openPacketSocket({
        ifindex: index,
        etherType,
        onFrame: (bytes) => void got.push(bytes[14] ?? 0),
      });
      subject.setLink('near', 'down');
      // Long enough for the event loop to meet the error that now waits on the socket.
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(refused('retry', () => socket.send(frame(1))).errnoName, 'ENETDOWN');
      subject.setLink('near', 'up');
      // Carrier alone is not enough: until a link is operational its queue swallows frames.
      const isUp = (name: string): boolean => linkOf(subject, name).operState === 'up';
      await subject.until('both ends are operational', () => isUp('near') && isUp('far'));
      socket.send(frame(3));
      subject.arrive(frame(4));
      await subject.until('the frame', () => got.includes(4));
      socket.close();
    },
  );

  on('a link that is not there, or went away, is `retry`', async (subject) => {
    const { index } = linkOf(subject);
    refused('retry', () => subject.kernel.openPacketSocket({ ifindex: 4096, etherType }));
    const socket = subject.kernel.openPacketSocket({ ifindex: index, etherType, onFrame: () => undefined });
    subject.recreateLinks();
    refused('retry', () => socket.send(frame(1)));
    socket.close();
  });

  on('a closed socket is silent, refuses to send, and may be closed again', async (subject) => {
    const { index } = linkOf(subject);
    const options = {
      ifindex: index,
      etherType,
      onFrame: () => assert.fail('a closed socket heard a frame'),
    };
    const socket = subject.kernel.openPacketSocket(options);
    subject.arrive(frame(1));
    socket.close();
    socket.close();
    refused('bug', () => socket.send(frame(2)));
    const got: number[] = [];
    const witness = subject.kernel.openPacketSocket({
      ...options,
      onFrame: (bytes) => void got.push(bytes[14] ?? 0),
    });
    subject.arrive(frame(5));
    await subject.until('the witness hears', () => got.includes(5));
    witness.close();
  });

  on('kernel settings are read and written; a link that is not there is `gone`', async (subject) => {
    const setting = 'net.ipv4.conf.near.arp_ignore';
    assert.equal(subject.kernel.readSysctl(setting), '0');
    subject.kernel.writeSysctl(setting, '1');
    assert.equal(subject.kernel.readSysctl(setting), '1');
    const absent = 'net.ipv4.conf.nowhere.arp_ignore';
    assert.equal(refused('gone', () => subject.kernel.readSysctl(absent)).object, absent);
    refused('gone', () => subject.kernel.writeSysctl(absent, '1'));
  });
}
