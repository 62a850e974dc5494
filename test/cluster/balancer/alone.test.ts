import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();

/** With direct return a server answers for the VIP only while kube-vip runs beside it. */
describe('an API server beside which no kube-vip runs', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let holder: Machine;
  let other: Machine;
  let vip: string;
  const env = { lb_enable: 'true', lb_backend: 'nftables', lb_fwdmethod: 'directroute' };

  before(async () => {
    cluster = await Cluster.start({ api: 'embedded', controlPlanes: 2 });
    [holder, other] = [cluster.lab.node(0), cluster.lab.node(1)];
    vip = cluster.lab.plan.vip(0);
    for (const node of [holder, other]) {
      const script = `require('http').createServer((_, answer) => answer.end('${node.name}')).listen(6443, '::', () => console.log('ready'))`;
      await node.start('server', [process.execPath, '-e', script]).waitForLog(/ready/);
    }
  });
  after(async () => {
    await cluster.stop();
  });

  /** Who answers clients of the VIP, one connection each. */
  async function answering(): Promise<readonly string[]> {
    const names = [];
    for (let i = 0; i < 4; i++) {
      const url = `http://${vip}:6443/`;
      const { stdout } = await cluster.lab.client.tryRun('curl', ['-s', '-m', '2', url]);
      names.push(stdout === '' ? 'nobody' : stdout);
    }
    return [...new Set(names)].toSorted();
  }

  async function until(wanted: readonly string[], what: string): Promise<void> {
    await waitFor(async () => (await answering()).join() === wanted.join(), {
      what: `${wanted.join(' and ')} to answer ${what}`,
      detail: () => cluster.daemon(holder).process.tail(),
    });
  }

  /** Connections to the VIP that are kept and asked over and over, one of them at least on `server`. */
  async function keepConnections(server: string) {
    const script = `
      const http = require('http');
      for (let i = 0; i < 4; i++) {
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        let first;
        const ask = () => http.get({ host: '${vip}', port: 6443, agent, timeout: 3000 }, (answer) => {
          answer.setEncoding('utf8').on('data', (name) => {
            if (first === undefined) console.log('on ' + name);
            first ??= [answer.socket, name];
            if (answer.socket !== first[0] || name !== first[1]) console.log('lost');
          }).on('end', () => setTimeout(ask, 50));
        }).on('error', () => console.log('lost')).on('timeout', () => console.log('lost'));
        ask();
      }`;
    const process_ = cluster.lab.client.start('keeper', [process.execPath, '-e', script]);
    await process_.waitForLog(new RegExp(`on ${server}`));
    return { lost: () => process_.tail().includes('lost'), end: () => process_.kill() };
  }

  it('gets no connections of direct return; it does while kube-vip runs there, keeps them when that is killed, and none after its end', async () => {
    await cluster.startDaemon(holder, { env, options: { supervise: false } }).waitReady();
    await until([holder.name], 'while kube-vip runs nowhere else');
    await cluster.daemon(holder).process.waitForLog(/kube-vip does not run there/);
    const beside = cluster.startDaemon(other, { env, options: { supervise: false } });
    await until([holder.name, other.name], 'when kube-vip runs beside both');
    const keeper = await keepConnections(other.name);
    await beside.kill();
    await until([holder.name], 'when one kube-vip was killed');
    await cluster.daemon(holder).process.waitForLog(/kube-vip was killed there/);
    beside.startAgain();
    await until([holder.name, other.name], 'when it is back');
    assert.equal(keeper.lost(), false, 'connections to the server beside which it was killed go on');
    await keeper.end();
    await beside.stop();
    await until([holder.name], 'when one kube-vip has ended');
    assert.deepEqual(await answering(), [holder.name]);
  });
});
