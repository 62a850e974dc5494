import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Lab, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();

describe('lab network', { skip: refused?.because ?? false }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.start({ controlPlanes: 3, workers: 1, remote: true });
  });
  after(async () => {
    await lab.stop();
  });

  const answers = (from: Machine, address: string): Promise<unknown> =>
    waitFor(() => from.ping(address), { what: `${address} to answer ${from.name}` });

  it('connects every machine over IPv4 and IPv6, the remote client through the router', async () => {
    const [first] = lab.controlPlanes;
    assert.ok(first !== undefined && lab.remote !== undefined);
    for (const machine of [...lab.nodes, lab.client, lab.api, lab.remote]) {
      await answers(machine, first.ipv4);
      await answers(machine, first.ipv6);
    }
  });

  it('pulls a cable: the carrier goes, and comes back', async () => {
    const node = lab.node(0);
    await node.cable.pull();
    await waitFor(async () => (await node.run('ip', ['link', 'show', 'eth0'])).includes('NO-CARRIER'), {
      what: 'the machine to see it',
    });
    assert.equal(await lab.client.ping(node.ipv4), false);
    await node.cable.heal();
    await answers(lab.client, node.ipv4);
  });

  it('cuts one direction only', async () => {
    const node = lab.node(1);
    const received = async (): Promise<number> => {
      const text = await node.run('cat', ['/proc/net/snmp']);
      const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp:'));
      return Number(values?.split(' ')[names?.split(' ').indexOf('InEchos') ?? -1]);
    };
    await answers(lab.client, node.ipv4);
    const before = await received();
    await node.cable.cut('from');
    assert.equal(await lab.client.ping(node.ipv4), false);
    assert.equal(await received(), before + 1, 'the echo request arrives, its answer does not');
    await node.cable.cut('to');
    assert.equal(await lab.client.ping(node.ipv4), false);
    assert.equal(await received(), before + 1, 'nothing arrives');
    await node.cable.heal();
    await answers(lab.client, node.ipv4);
  });

  it('parts two machines and leaves the others alone', async () => {
    const [a, b] = [lab.node(0), lab.node(1)];
    await a.cable.deafTo([b]);
    await b.cable.deafTo([a]);
    assert.equal(await a.ping(b.ipv4), false);
    assert.equal(await a.ping(b.ipv6), false);
    await answers(a, lab.node(2).ipv4);
    await answers(b, lab.node(2).ipv4);
    await a.cable.heal();
    await b.cable.heal();
    await answers(a, b.ipv4);
  });

  it('switches a machine off and on: its processes die, a leftover VIP is gone afterwards', async () => {
    const node = lab.node(2);
    await node.ip(`addr add ${lab.plan.vip(0)}/32 dev eth0`);
    const sleeper = node.start('sleeper', ['sleep', '1000']);
    assert.deepEqual(await lab.holders(lab.plan.vip(0)), ['cp3']);
    await node.powerOff();
    assert.equal((await sleeper.untilExit()).signal, 'SIGKILL');
    assert.equal(await lab.client.ping(node.ipv4), false);
    await node.powerOn();
    assert.deepEqual(await lab.holders(lab.plan.vip(0)), []);
    await answers(lab.client, node.ipv4);
    await answers(lab.client, node.ipv6);
  });

  it('black-holes a TCP port for one machine, its own server and open connections included', async () => {
    const node = lab.node(0);
    const server = `require('net').createServer(s=>s.pipe(s)).listen(6443,'::',()=>console.log('up'))`;
    const process1 = node.start('echo', [process.execPath, '-e', server]);
    await process1.waitForLog(/up/);
    const dial = (from: typeof node): Promise<boolean> =>
      from
        .tryRun('timeout', ['1', 'bash', '--norc', '-c', `exec 3<>/dev/tcp/${node.ipv4}/6443`])
        .then((r) => r.code === 0);
    const connects = (from: typeof node): Promise<unknown> =>
      waitFor(() => dial(from), { what: `a connection from ${from.name}` });
    await connects(node);
    await node.cable.blackholeApi(6443);
    assert.equal(await dial(node), false);
    // Others still reach it.
    await connects(lab.client);
    await node.cable.restoreApi();
    await connects(node);
  });

  it('flushes addresses and gives the own ones back', async () => {
    const node = lab.node(1);
    await node.flushAddresses();
    assert.equal(await lab.client.ping(node.ipv4), false);
    await node.restoreAddresses();
    await answers(lab.client, node.ipv4);
    await answers(node, lab.client.ipv6);
  });
});
