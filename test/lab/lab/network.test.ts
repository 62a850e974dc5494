import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Lab, ensurePrivilege, waitFor } from '../../../lab/index.ts';

const refused = ensurePrivilege();

describe('lab network', { skip: refused?.because ?? false }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.start({ controlPlanes: 3, workers: 1, remote: true });
  });
  after(async () => {
    await lab.stop();
  });

  it('connects every machine over IPv4 and IPv6, the remote client through the router', async () => {
    const [first] = lab.controlPlanes;
    assert.ok(first !== undefined && lab.remote !== undefined);
    for (const machine of [...lab.nodes, lab.client, lab.api, lab.remote]) {
      assert.ok(await machine.ping(first.ipv4), `${machine.name} → ${first.ipv4}`);
      assert.ok(await machine.ping(first.ipv6), `${machine.name} → ${first.ipv6}`);
    }
  });

  it('pulls a cable: the carrier goes, and comes back', async () => {
    const node = lab.node(0);
    await node.cable.pull();
    assert.match(await node.run('ip', ['link', 'show', 'eth0']), /NO-CARRIER/);
    assert.equal(await lab.client.ping(node.ipv4), false);
    await node.cable.heal();
    assert.ok(await lab.client.ping(node.ipv4));
  });

  it('cuts one direction only', async () => {
    const node = lab.node(1);
    const received = async (): Promise<number> => {
      const text = await node.run('cat', ['/proc/net/snmp']);
      const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp:'));
      return Number(values?.split(' ')[names?.split(' ').indexOf('InEchos') ?? -1]);
    };
    assert.ok(await lab.client.ping(node.ipv4));
    const before = await received();
    await node.cable.cut('from');
    assert.equal(await lab.client.ping(node.ipv4), false);
    assert.equal(await received(), before + 1, 'the echo request arrives, its answer does not');
    await node.cable.cut('to');
    assert.equal(await lab.client.ping(node.ipv4), false);
    assert.equal(await received(), before + 1, 'nothing arrives');
    await node.cable.heal();
    assert.ok(await lab.client.ping(node.ipv4));
  });

  it('parts two machines and leaves the others alone', async () => {
    const [a, b] = [lab.node(0), lab.node(1)];
    await a.cable.deafTo([b]);
    await b.cable.deafTo([a]);
    assert.equal(await a.ping(b.ipv4), false);
    assert.equal(await a.ping(b.ipv6), false);
    assert.ok(await a.ping(lab.node(2).ipv4));
    assert.ok(await b.ping(lab.node(2).ipv4));
    await a.cable.heal();
    await b.cable.heal();
    await waitFor(() => a.ping(b.ipv4), { what: 'the two to meet again' });
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
    assert.ok(await lab.client.ping(node.ipv4));
    assert.ok(await lab.client.ping(node.ipv6));
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
    assert.ok(await dial(node));
    await node.cable.blackholeApi(6443);
    assert.equal(await dial(node), false);
    assert.ok(await dial(lab.client), 'others still reach it');
    await node.cable.restoreApi();
    assert.ok(await dial(node));
  });

  it('flushes addresses and gives the own ones back', async () => {
    const node = lab.node(1);
    await node.flushAddresses();
    assert.equal(await lab.client.ping(node.ipv4), false);
    await node.restoreAddresses();
    assert.ok(await lab.client.ping(node.ipv4));
    assert.ok(await node.ping(lab.client.ipv6));
  });
});
