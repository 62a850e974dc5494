import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, waitFor, type LabProcess, type Machine } from '../../../lab/index.ts';

const refused = ensurePrivilege();
const watchers = 9;
/** Far below any keep-alive: nobody else would tell them. */
const PATIENCE_MS = 10_000;

for (const method of ['masquerade', 'directroute'] as const)
  describe(
    `clients that only listen, while the VIP moves (${method})`,
    {
      skip: refused?.because ?? false,
    },
    () => {
      let cluster: Cluster;

      before(async () => {
        cluster = await Cluster.start({ api: 'embedded', controlPlanes: 3 });
        for (const node of cluster.lab.controlPlanes) {
          const script = `require('http').createServer((asked, answer) => {
          if (asked.url === '/watch') answer.write('${node.name}'); else answer.end();
        }).listen(6443, '::', () => console.log('ready'))`;
          await node.start('server', [process.execPath, '-e', script]).waitForLog(/ready/);
        }
        const env = { lb_enable: 'true', lb_backend: 'nftables', lb_fwdmethod: method };
        await cluster.startDaemons({ env, options: { supervise: false } });
      });
      after(async () => {
        await cluster.stop();
      });

      async function holder(): Promise<Machine> {
        const name = await waitFor(() => cluster.leaseHolder(), { what: 'a holder' });
        const node = cluster.lab.controlPlanes.find((each) => each.name === name);
        assert.ok(node !== undefined);
        return node;
      }

      /** Each has asked once, has heard something, and says nothing more. */
      async function watchAll(vip: string): Promise<LabProcess> {
        const script = `
        let heard = 0;
        for (let i = 0; i < ${watchers}; i++) {
          require('http').get({ host: '${vip}', port: 6443, path: '/watch', agent: false }, (answer) => {
            answer.on('data', () => ++heard === ${watchers} && console.log('all listen'));
            answer.on('error', () => undefined).on('close', () => console.log('over'));
          }).on('error', () => undefined);
        }`;
        const watching = cluster.lab.client.start('watchers', [process.execPath, '-e', script]);
        await watching.waitForLog(/all listen/);
        return watching;
      }

      it('hear of it at once: the holder before makes them speak, and the next one resets them', async () => {
        const vip = cluster.lab.plan.vip(0);
        const before_ = await holder();
        const serves = async (): Promise<boolean> =>
          (await cluster.lab.client.tryRun('curl', ['-s', '-m', '2', `http://${vip}:6443/`])).code === 0;
        await waitFor(serves, { what: 'the VIP to answer' });
        const watching = await watchAll(vip);
        const { code } = await cluster.daemon(before_).stop();
        assert.equal(code, 0);
        const over = (): number => watching.tail(100).match(/^over$/gm)?.length ?? 0;
        await waitFor(() => over() === watchers, {
          what: 'all of them to have heard',
          timeoutMs: PATIENCE_MS,
          detail: () => `${over()} of ${watchers}\n${watching.tail()}`,
        });
        const tables = await before_.run('nft', ['list', 'tables']);
        assert.doesNotMatch(tables, /kube-vip/);
      });
    },
  );
