import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ensurePrivilege, Lab, waitFor, type Machine } from '../../../lab/index.ts';
import { ip, type Ip } from '../../../src/lib/ip.ts';
import { inNamespace, openKernel, openUdpPath, systemClock } from '../../../src/linux/index.ts';
import type { OpenKernel, UdpPath, UdpPathOptions } from '../../../src/linux/index.ts';

const refused = ensurePrivilege();
const PORT = 3784;

describe('UDP paths to one other machine', { skip: refused?.because ?? false }, () => {
  let lab: Lab;
  let kernel: OpenKernel;
  const opened: UdpPath[] = [];

  before(async () => {
    lab = await Lab.start({ controlPlanes: 2 });
    kernel = openKernel({ clock: systemClock() });
  });
  after(async () => {
    for (const path of opened) path.close();
    kernel.close();
    await lab.stop();
  });

  /** A path of a machine, and what it has heard. */
  function open(machine: Machine, remote: Ip, more: Partial<UdpPathOptions> = {}) {
    const heard: string[] = [];
    const options = { remote, port: PORT, isDirect: true, ...more };
    const path = inNamespace({ name: machine.namespace }, () =>
      openUdpPath(kernel.poller, Math.random, options, (bytes) => heard.push(Buffer.from(bytes).toString())),
    );
    opened.push(path);
    return {
      heard,
      path,
      say: (text: string): void => {
        path.send(Buffer.from(text));
      },
    };
  }

  for (const family of ['ipv4', 'ipv6'] as const)
    test(`share a port and hear their own machine only: ${family}`, async () => {
      const [node, other, router] = [lab.node(0), lab.node(1), lab.router];
      const [fromRouter, fromOther] = [open(node, router[family]), open(node, other[family])];
      const [routerSays, otherSays] = [open(router, node[family]), open(other, node[family])];
      otherSays.say('other');
      routerSays.say('router');
      await waitFor(() => fromRouter.heard.length > 0 && fromOther.heard.length > 0, { what: 'both' });
      assert.deepEqual([fromRouter.heard, fromOther.heard], [['router'], ['other']]);
      fromOther.path.close();
      opened.splice(opened.indexOf(fromOther.path), 1);
      // Nobody is there for it any more; what comes after it was heard after it.
      otherSays.say('again');
      await new Promise(setImmediate);
      routerSays.say('router again');
      await waitFor(() => fromRouter.heard.length > 1, { what: 'the router again' });
      assert.deepEqual(fromRouter.heard, ['router', 'router again']);
    });

  test('hand over what is waiting when asked', () => {
    const [node, router] = [lab.node(0), lab.router];
    const [ours, theirs] = [open(node, router.ipv4, { port: 3785 }), open(router, node.ipv4, { port: 3785 })];
    theirs.say('one');
    theirs.say('two');
    const until = performance.now() + 10_000;
    while (ours.heard.length < 2 && performance.now() < until) ours.path.hearNow();
    assert.deepEqual(ours.heard, ['one', 'two'], 'without a turn of the event loop');
  });

  test('come from their source address', async () => {
    const [node, router] = [lab.node(0), lab.router];
    const second = ip('10.77.0.213');
    await router.ip(`addr add ${second}/24 dev eth0`);
    try {
      const [first, other] = [
        open(node, router.ipv4, { port: 4784, isDirect: false }),
        open(node, second, { port: 4784, isDirect: false }),
      ];
      open(router, node.ipv4, { port: 4784, localAddress: second }).say('second');
      await waitFor(() => other.heard.length > 0, { what: 'the second address' });
      assert.deepEqual(first.heard, []);
    } finally {
      await router.ip(`addr del ${second}/24 dev eth0`);
    }
  });
});
