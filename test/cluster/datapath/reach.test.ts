import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  Cluster,
  DataPath,
  HolderWatch,
  httpGet,
  Requests,
  waitFor,
  type Machine,
} from '../../../lab/index.ts';
import {
  assertNothingLost,
  createNamespace,
  createService,
  deleteService,
  namespace,
  patientLease,
  patientLoad,
  whySkipped,
} from './service.ts';

/** Seconds that a pod goes on serving: longer than every kube-proxy needs to forget it, and a node to give its VIP up. */
const LINGER = 12;

interface Answer {
  readonly pod: string;
  readonly node: string;
  readonly source: string;
}

describe('from the VIP to the pod', { skip: await whySkipped() }, () => {
  let cluster: Cluster;
  let dataPath: DataPath;
  const vip = (n: number): string => cluster.lab.plan.vip(n);
  const at = (n: number): Machine => cluster.lab.node(n);

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
    dataPath = await DataPath.start(cluster);
    await createNamespace(dataPath);
    await addPod('web-a', 'web', at(0));
    await addPod('web-b', 'web', at(1));
    const env = { cp_enable: 'false', address: '', svc_enable: 'true', svc_election: 'true' };
    await cluster.startDaemons({ env, lease: patientLease });
  });
  after(async () => {
    await cluster.stop();
  });

  function addPod(
    name: string,
    app: string,
    node: Machine,
    lingerSeconds = 1,
  ): ReturnType<DataPath['addPod']> {
    return dataPath.addPod({ name, namespace, labels: { app }, node, lingerSeconds });
  }

  /** The answer to one new connection, from the client; undefined when there is none. */
  async function ask(address: string, port = 80): Promise<Answer | undefined> {
    const got = await httpGet(cluster.lab.client, address, port, '/', 2_000);
    return got?.status === 200 ? (JSON.parse(got.body) as Answer) : undefined;
  }

  const answerFrom = (address: string, node: Machine, what: string): Promise<Answer> =>
    waitFor(
      async () => {
        const answer = await ask(address);
        return answer?.node === node.name ? answer : undefined;
      },
      { what, timeoutMs: 60_000 },
    );

  it('SVC-27 with policy Cluster a pod on any node answers, and sees the holder as the client', async () => {
    await createService(dataPath, { name: 'web', vip: vip(1) });
    const holder = await cluster.holder(vip(1));
    for (const node of [at(0), at(1)]) {
      const answer = await answerFrom(vip(1), node, `an answer from the pod on ${node.name}`);
      assert.equal(answer.source, holder.ipv4);
    }
  });

  it('the VIP answers ARP from its holder only', async () => {
    const holder = await cluster.holder(vip(1));
    const macs = await waitFor(
      async () => {
        const arping = ['-c', '3', '-w', '5', '-i', 'eth0', vip(1)];
        const { stdout } = await cluster.lab.client.tryRun('arping', arping);
        const found = [...stdout.matchAll(/[0-9a-f]{2}(?::[0-9a-f]{2}){5}/g)].map(([mac]) => mac);
        return found.length > 1 ? found : undefined;
      },
      { what: 'answers' },
    );
    assert.deepEqual([...new Set(macs)], [holder.mac]);
  });

  it('SVC-27 ELE-09 with policy Local the pod is on the holder and sees the client; a node without a pod does not hold', async () => {
    await addPod('near-a', 'near', at(2), LINGER);
    await createService(dataPath, { name: 'near', vip: vip(2), policy: 'Local' });
    assert.equal((await cluster.holder(vip(2))).name, at(2).name);
    const first = await answerFrom(vip(2), at(2), 'an answer');
    assert.equal(first.source, cluster.lab.client.ipv4);
    const [pod] = dataPath.pods({ app: 'near' });
    assert.ok(pod !== undefined);
    await addPod('near-b', 'near', at(0), LINGER);
    await dataPath.removePod(pod);
    await waitFor(async () => (await cluster.lab.holders(vip(2))).join() === at(0).name, {
      what: 'the VIP on the other node',
    });
    const second = await answerFrom(vip(2), at(0), 'an answer from the other node');
    assert.equal(second.source, cluster.lab.client.ipv4);
  });

  it('SVC-28 the VIP of a Local Service leaves while its last endpoint still serves: no connection fails', async () => {
    const [old] = dataPath.pods({ app: 'near' });
    assert.equal(old?.node, at(0));
    const load = await Requests.start(cluster.lab.client, `http://${vip(2)}/`, patientLoad);
    try {
      await addPod('near-c', 'near', at(1), LINGER);
      const removal = dataPath.removePod(old);
      await waitFor(() => at(1).holds(vip(2)), { what: 'the VIP to move', timeoutMs: 60_000, everyMs: 10 });
      assert.ok(old.process?.alive, 'before the old pod has ended');
      await removal;
      await load.answering(50);
      const { byPod, failed } = await load.stop();
      assert.deepEqual(failed, []);
      assert.deepEqual(Object.keys(byPod), ['near-b', 'near-c']);
    } finally {
      await load.kill();
    }
  });

  it('a pod that is added gets requests, and after its removal none: no connection fails', async () => {
    const load = await Requests.start(cluster.lab.client, `http://${vip(1)}/`, patientLoad);
    try {
      const pod = await addPod('web-c', 'web', at(2), LINGER);
      await waitFor(() => load.live.pod === pod.name, {
        what: 'a request at the new pod',
        timeoutMs: 60_000,
        everyMs: 10,
      });
      await dataPath.removePod(pod);
      await load.answering(50);
      const report = await load.stop();
      assertNothingLost(report);
      assert.deepEqual(Object.keys(report.byPod), ['web-a', 'web-b', 'web-c']);
    } finally {
      await load.kill();
    }
    for (let n = 0; n < 10; n++) assert.notEqual((await ask(vip(1)))?.pod, 'web-c');
  });

  for (const [first, second] of [
    ['old', 'young'],
    ['young', 'old'],
  ] as const) {
    it(`SVC-22 two Services on one VIP: deleting the ${first} one fails no request to the other`, async () => {
      const ports = { old: 8001, young: 8002 };
      await createService(dataPath, { name: 'old', app: 'web', vip: vip(3), port: ports.old });
      await cluster.holder(vip(3));
      await createService(dataPath, { name: 'young', app: 'web', vip: vip(3), port: ports.young });
      for (const port of [ports.old, ports.young])
        await waitFor(() => ask(vip(3), port), { what: `an answer on port ${port}`, timeoutMs: 60_000 });
      const watch = await HolderWatch.start(cluster.lab, vip(3));
      const load = await Requests.start(
        cluster.lab.client,
        `http://${vip(3)}:${ports[second]}/`,
        patientLoad,
      );
      try {
        await deleteService(dataPath, first);
        await waitFor(async () => (await ask(vip(3), ports[first])) === undefined, {
          what: 'the deleted Service to fall silent',
          timeoutMs: 60_000,
        });
        await load.answering(300);
        const report = await load.stop();
        assertNothingLost(report);
        assert.ok(report.answered > 300);
        const { segments } = await watch.stop();
        assert.equal(segments.length, 1, `one holder all the time: ${JSON.stringify(segments)}`);
        assert.equal(segments[0]?.holders.length, 1);
      } finally {
        await load.kill();
        await watch.kill();
      }
      await deleteService(dataPath, second);
      await waitFor(async () => (await cluster.lab.holders(vip(3))).length === 0, {
        what: 'the VIP to go',
      });
    });
  }
});
