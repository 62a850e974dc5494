import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Cluster, DataPath, Requests, waitFor, type LoadReport } from '../../../lab/index.ts';
import { patientLoad, whySkipped } from './service.ts';

const example = path.join(import.meta.dirname, '../../../examples/front-end-back-end');
const frontEnd = { app: 'front-end' };
const backEnd = { app: 'back-end' };
const copies = 3;

describe('examples/front-end-back-end, as it is', { skip: await whySkipped() }, () => {
  let cluster: Cluster;
  let dataPath: DataPath;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
    dataPath = await DataPath.start(cluster);
    await cluster.startDaemons({
      env: { cp_enable: 'false', address: '', svc_enable: 'true', svc_election: 'true' },
      // A holder dies below, and its leases with it.
      lease: { duration: 15, renewDeadline: 10, retryPeriod: 2 },
    });
    for (const file of ['back-end.yaml', 'front-end.yaml'])
      await dataPath.apply(readFileSync(path.join(example, file), 'utf8'));
    await allReady();
  });
  after(async () => {
    await cluster.stop();
  });

  async function allReady(): Promise<void> {
    await dataPath.ready(frontEnd, copies, 120_000);
    await dataPath.ready(backEnd, copies, 120_000);
  }

  async function vipOf(service: string): Promise<string> {
    const { metadata } = await cluster.api.client.get<{
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
    }>(`/api/v1/namespaces/default/services/${service}`);
    return metadata.annotations['kube-vip.io/loadbalancerIPs'] ?? '';
  }

  const start = async (): Promise<Requests> =>
    Requests.start(cluster.lab.client, `http://${await vipOf('front-end')}/`, patientLoad);

  /** Requests until as many as that have been answered by the copies that are ready now. */
  async function steady(count = 300): Promise<LoadReport> {
    const load = await start();
    try {
      await load.answering(count);
      return await load.stop();
    } finally {
      await load.kill();
    }
  }

  /** Five standard deviations around equal shares, and nobody left out. */
  function assertEven(
    counts: Readonly<Record<string, number>>,
    labels: Readonly<Record<string, string>>,
  ): void {
    const names = dataPath.pods(labels).map(({ name }) => name);
    assert.deepEqual(Object.keys(counts).sort(), names.sort());
    const total = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const share = 1 / names.length;
    const tolerance = 5 * Math.sqrt(total * share * (1 - share));
    for (const each of Object.values(counts))
      assert.ok(Math.abs(each - total * share) < tolerance, JSON.stringify(counts));
  }

  /** No request fails, and every copy of both ends has its share. */
  async function assertEvenlyServed(): Promise<void> {
    // kube-proxy gathers changes for up to a second.
    const report = await waitFor(
      async () => {
        const got = await steady();
        const seen = (
          counts: Readonly<Record<string, number>>,
          labels: Readonly<Record<string, string>>,
        ): boolean => dataPath.pods(labels).every(({ name }) => name in counts);
        return got.failed.length === 0 && seen(got.byPod, frontEnd) && seen(got.byBackend, backEnd)
          ? got
          : undefined;
      },
      { what: 'requests that every copy has a part in', timeoutMs: 120_000 },
    );
    assertEven(report.byPod, frontEnd);
    assertEven(report.byBackend, backEnd);
  }

  it('requests flow from the front end through the VIP to the copies of the back end, evenly', async () => {
    await Promise.all(['front-end', 'back-end'].map(async (name) => cluster.holder(await vipOf(name))));
    await assertEvenlyServed();
  });

  it('back-end copies that are killed cost no request', async () => {
    const load = await start();
    try {
      const [first, second] = dataPath.pods(backEnd);
      assert.ok(first?.process !== undefined && second !== undefined);
      await first.process.kill();
      await waitFor(() => !first.isReady, { what: 'the kubelet to see it' });
      await allReady();
      // Gone without a word, and another one is made in its place.
      await dataPath.kubectl(['delete', 'pod', second.name, '--force', '--grace-period=0']);
      await waitFor(() => !dataPath.pods(backEnd).some(({ name }) => name === second.name), {
        what: 'the copy to go',
      });
      await allReady();
      await load.answering(100);
      assert.deepEqual((await load.stop()).failed, []);
    } finally {
      await load.kill();
    }
    await assertEvenlyServed();
  });

  it('the node that holds the VIP of the front end loses its power: the rest goes on, with new copies', async () => {
    const holder = await cluster.holder(await vipOf('front-end'));
    const load = await start();
    try {
      await dataPath.powerOff(holder);
      const next = await waitFor(
        async () =>
          (await cluster.lab.holders(await vipOf('front-end'))).find((name) => name !== holder.name),
        { what: 'another holder', timeoutMs: 90_000 },
      );
      assert.notEqual(next, holder.name);
      await load.answering(100);
      // Those of the dead node are replaced; the dead ones are not counted among the pods any more.
      await allReady();
    } finally {
      await load.kill();
    }
    await assertEvenlyServed();
    await dataPath.powerOn(holder);
    assert.deepEqual((await steady(150)).failed, []);
  });
});
