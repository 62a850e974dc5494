import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DhcpClient } from '../../../src/control-plane/index.ts';
import { ip, type Mac } from '../../../src/lib/ip.ts';
import { silentLogger } from '../../../src/lib/log.ts';
import type { Link, PacketSocketOptions } from '../../../src/linux/types.ts';
import { decodeDhcpFrame, encodeDhcpFrame, type DhcpMessage } from '../../../src/protocols/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const mac = '02:00:00:00:00:01' as Mac;
const serverMac = '02:00:00:00:00:02' as Mac;
const broadcast = 'ff:ff:ff:ff:ff:ff' as Mac;
const [server, vip] = [ip('192.0.2.1'), ip('192.0.2.110')];
const eth0 = { index: 2, name: 'eth0', hardwareType: 1, mac, broadcast } as unknown as Link;

/** A client on a link where a server answers everything, while it is there. */
function scene({ attempts = 1, link = eth0 }: { attempts?: number; link?: Link | undefined } = {}) {
  const clock = new FakeClock();
  const happened: string[] = [];
  let isServing = true;
  let open: PacketSocketOptions | undefined;
  const answer = (asked: DhcpMessage, type: DhcpMessage['type']): void => {
    const { xid, chaddr } = asked;
    const message: DhcpMessage = {
      ...{ op: 'reply', type, xid, secs: 0, ciaddr: ip('0.0.0.0'), yiaddr: vip, chaddr },
      ...{ serverId: server, leaseSeconds: 120 },
    };
    const from = { hardwareType: 1, mac: serverMac, broadcast } as const;
    open?.onFrame?.(encodeDhcpFrame(from, mac, { from: server, to: vip, message }));
  };
  const client = new DhcpClient(
    {
      link: () => link,
      openPacketSocket: (options) => {
        open = options;
        happened.push(`open ${options.ifindex}`);
        return {
          send: (frame) => {
            const { to, message } = decodeDhcpFrame(frame);
            happened.push(`${message.type} ${message.hostName ?? ''} to ${to}`);
            if (!isServing) return;
            clock.after('server', 1, () => {
              if (message.type === 'discover') answer(message, 'offer');
              if (message.type === 'request') answer(message, 'ack');
            });
          },
          setFilter: () => undefined,
          close: () => {
            open = undefined;
            happened.push('close');
          },
        };
      },
      clock,
      random: () => 0.5,
      log: silentLogger,
      leased: (address) => happened.push(address === undefined ? 'none' : `has ${address}`),
      gaveUp: (why) => happened.push(`gave up: ${why}`),
      undecodable: () => happened.push('undecodable'),
    },
    { hostName: 'api', attempts },
  );
  return {
    client,
    clock,
    take: () => happened.splice(0),
    silence: () => {
      isServing = false;
    },
    hear: (frame: Uint8Array) => open?.onFrame?.(frame),
  };
}

test('CP-145 the address is had as long as the client runs, and asked for again when it runs again', async () => {
  const { client, clock, take } = scene();
  client.start();
  await clock.advance(10);
  const asked = ['discover api to 255.255.255.255', 'request api to 255.255.255.255'];
  assert.deepEqual(take(), ['open 2', ...asked, `has ${vip}`]);
  client.stop(false);
  assert.deepEqual(take(), ['close', 'none']);
  assert.deepEqual(clock.timers(), []);
  client.start();
  await clock.advance(10);
  assert.deepEqual(take(), ['open 2', asked[1], `has ${vip}`]);
});

test('CP-146 it is renewed with the server, and given back before the socket closes', async () => {
  const { client, clock, take } = scene();
  client.start();
  await clock.advance(59_990);
  take();
  await clock.advance(20);
  assert.deepEqual(take(), [`request api to ${server}`]);
  client.stop(true);
  assert.deepEqual(take(), [`release  to ${server}`, 'close', 'none']);
});

test('CP-147 without a server it gives up, and can be started again', async () => {
  const { client, clock, take, silence } = scene();
  silence();
  client.start();
  await clock.advance(60_000);
  const discover = 'discover api to 255.255.255.255';
  const why = 'gave up: no DHCP server on eth0 gave an address to api';
  assert.deepEqual(take(), ['open 2', discover, discover, discover, 'close', why]);
  assert.deepEqual(clock.timers(), []);
  client.stop(false);
  client.start();
  assert.deepEqual(take(), ['open 2', discover]);
});

test('CP-147 without a link that can do DHCP it gives up, but not within the call that starts it', async () => {
  const tunnel = { ...eth0, name: 'tunnel0', hardwareType: 768 };
  const { client, clock, take } = scene({ link: tunnel });
  client.start();
  assert.deepEqual(take(), []);
  await clock.advance(0);
  assert.deepEqual(take(), ['gave up: tunnel0 is no Ethernet link']);
});

test('an address whose time is over is not used any more', async () => {
  const { client, clock, take, silence } = scene();
  client.start();
  await clock.advance(1000);
  take();
  silence();
  await clock.advance(119_500);
  assert.ok(take().includes('none'));
});

test('what is no DHCP is counted', () => {
  const { client, hear, take } = scene();
  client.start();
  take();
  hear(new Uint8Array(60));
  assert.deepEqual(take(), ['undecodable']);
});
