import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  Cluster,
  ensurePrivilege,
  requireComponent,
  waitFor,
  type LabProcess,
  type Machine,
} from '../../../lab/index.ts';

const refused = ensurePrivilege();

interface LoadReport {
  readonly sent: number;
  /** As many as this machine could. */
  readonly perSecond: number;
  readonly skipped: number;
  readonly failures: readonly { readonly at: number; readonly why: string }[];
  /** Ports of held connections that ended. */
  readonly ended: readonly number[];
  readonly longestMs: number;
}

interface Load {
  /** Client ports of the connections that are held. */
  readonly ports: readonly number[];
  readonly stop: () => Promise<LoadReport>;
}

/** Client ports of these held connections that are on this server. */
type HeldOn = (holder: Machine, server: Machine, ports: readonly number[]) => Promise<readonly number[]>;

/** Nothing here is about a lease that runs out: a daemon that is killed finds its own again, on a busy machine too. */
const keeping = {
  lease: { duration: 60, renewDeadline: 40, retryPeriod: 2 },
  options: { restartDelayMs: 200 },
};

/** Out after two failures, but nobody is out because this machine is busy. */
const common = {
  lb_enable: 'true',
  lb_backend: 'nftables',
  lb_probe_interval_ms: '250',
  lb_probe_timeout_ms: '5000',
  lb_probe_fall: '2',
};

describe('the control-plane balancer before real API servers', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;
  let vip: string;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 3 });
    vip = cluster.lab.plan.vip(0);
    await restart({ lb_fwdmethod: 'masquerade' });
  });
  after(async () => {
    await cluster.stop();
  });

  /** The only node with the VIP on its link; with direct return the others have it on `lo`. */
  const theHolder = (): Promise<Machine> =>
    waitFor(
      async () => {
        const nodes = cluster.lab.controlPlanes;
        const all = await Promise.all(nodes.map((node) => node.addresses('eth0')));
        const holders = nodes.filter((_, i) => all[i]?.some(({ local }) => local === vip));
        return holders.length === 1 ? holders[0] : undefined;
      },
      { what: 'one holder', timeoutMs: 60_000 },
    );
  const restart = async (env: Readonly<Record<string, string>>): Promise<void> => {
    const running = [...cluster.daemons.values()].filter(({ process }) => process.alive);
    await Promise.all(running.map((daemon) => daemon.stop()));
    await cluster.startDaemons({ ...keeping, env: { ...common, ...env } });
    await theHolder();
    await allServe();
  };
  const load = async (perSecond: number, held = 0): Promise<Load> => {
    const script = fileURLToPath(new URL('load.ts', import.meta.url));
    const process_: LabProcess = cluster.lab.client.start(
      `load${Date.now()}`,
      [process.execPath, script, vip, '6443', String(perSecond), String(held)],
      { pipe: true },
    );
    let text = '';
    process_.child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const [, ports = ''] = await waitFor(() => /^ready(.*)\n/.exec(text), { what: 'the load to start' });
    return {
      ports: ports
        .split(' ')
        .filter((word) => word !== '')
        .map(Number),
      stop: async () => {
        process_.child.stdin?.end();
        await waitFor(() => text.includes('"sent"'), { what: 'the report of the load', timeoutMs: 120_000 });
        return JSON.parse(text.slice(text.indexOf('{'))) as LoadReport;
      },
    };
  };

  /** Client port and backend of each connection to the VIP, as the holder's connection tracking has them. */
  const connections = async (holder: Machine): Promise<readonly (readonly [number, string])[]> => {
    const toVip = ['-L', '-p', 'tcp', '--orig-dst', vip, '--orig-port-dst', '6443'];
    const text = await holder.run('conntrack', toVip);
    const found = text.matchAll(/src=\S+ dst=\S+ sport=(\d+) dport=6443 .*?src=(\S+) dst=/g);
    return Array.from(found, ([, port = '', backend = '']) => [Number(port), backend] as const);
  };
  const trackedOn: HeldOn = (holder, victim, ports) =>
    waitFor(
      async () => {
        const tracked = await connections(holder);
        const held = tracked.filter(([port]) => ports.includes(port));
        if (held.length < ports.length) return undefined;
        return held.filter(([, backend]) => backend === victim.ipv4).map(([port]) => port);
      },
      { what: 'the held connections to be tracked' },
    );
  const spread = async (holder: Machine): Promise<Readonly<Record<string, number>>> => {
    const counts: Record<string, number> = {};
    for (const [, backend] of await connections(holder)) counts[backend] = (counts[backend] ?? 0) + 1;
    return counts;
  };
  /** Until all API servers are in the holder's rotation: the checks of each succeed. */
  const allServe = async (): Promise<void> => {
    const holder = await theHolder();
    let seen: unknown;
    await waitFor(
      async () => {
        const text = (await cluster.daemon(holder).http('/status'))?.body ?? '{}';
        const { balancer } = JSON.parse(text) as {
          balancer?: { backends: readonly { phase: string }[] };
        };
        seen = balancer;
        const serving = balancer?.backends.filter(({ phase }) => phase === 'healthy');
        return serving?.length === 3;
      },
      {
        what: 'three backends that serve',
        timeoutMs: 60_000,
        everyMs: 50,
        detail: () => JSON.stringify(seen),
      },
    );
  };
  const back = async (victim: Machine): Promise<void> => {
    cluster.real.startNode(victim);
    await cluster.real.waitReady([victim]);
    await allServe();
  };
  /** What the holder says, from now on, when this one is out. */
  const leavesRotation = (holder: Machine, victim: Machine): (() => string | undefined) => {
    const said = cluster.daemon(holder).log().length;
    const line = new RegExp(`backend leaves the rotation.*backend=${victim.ipv4}.*`);
    return () => line.exec(cluster.daemon(holder).log().slice(said))?.[0];
  };
  const kubectl = (...args: string[]): Promise<string> =>
    cluster.lab.client.run(requireComponent('kubectl'), [
      `--kubeconfig=${cluster.api.kubeconfig(cluster.lab.client, 'admin', `https://${vip}:6443`)}`,
      '--request-timeout=10s',
      ...args,
    ]);

  it('CP-160 with three ready nodes connections go to all three, one after the other', async () => {
    const holder = await theHolder();
    await waitFor(async () => (await holder.run('nft', ['list', 'ruleset'])).includes(vip), {
      what: 'the rules',
    });
    await holder.run('conntrack', ['-F']).catch(() => '');
    const { stop } = await load(60);
    await sleep(2000);
    const report = await stop();
    assert.deepEqual(report.failures, []);
    const counts = Object.values(await spread(holder));
    assert.equal(counts.length, 3);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, JSON.stringify(counts));
  });

  it('kubectl works through the VIP while each API server is killed in turn, and the holder keeps it', async () => {
    for (const victim of cluster.lab.controlPlanes) {
      const holder = await theHolder();
      const leaving = leavesRotation(holder, victim);
      await cluster.real.processesOf(victim).apiserver.kill();
      try {
        for (let answers = 0; answers < 5;) {
          const isOut = leaving() !== undefined;
          // One that came a moment before the end was on it; those that come after it hear nothing.
          const problem = await kubectl('get', 'nodes').then(() => '', String);
          if (problem === '') answers++;
          else assert.ok(/reset|EOF/.test(problem) && !isOut, problem);
        }
        await waitFor(leaving, { what: `${victim.name} to leave the rotation` });
        assert.equal((await theHolder()).name, holder.name);
      } finally {
        await back(victim);
      }
    }
  });

  /** Kills the API server of this node under load: none but the connections that it had taken fail. */
  const killUnderLoad = async (t: TestContext, victim: Machine, mayBeHeld: HeldOn): Promise<void> => {
    await allServe();
    const holder = await theHolder();
    const { ports, stop } = await load(500, 30);
    const leaving = leavesRotation(holder, victim);
    try {
      const onVictim = await mayBeHeld(holder, victim, ports);
      assert.notEqual(onVictim.length, 0);
      const killedAt = Date.now();
      await cluster.real.processesOf(victim).apiserver.kill();
      const left = await waitFor(leaving, { what: `${victim.name} to leave the rotation`, everyMs: 5 });
      const leftAt = Date.now();
      await sleep(1000);
      const { sent, perSecond, skipped, failures, ended, longestMs } = await stop();
      const since = failures.map(({ at }) => at - killedAt);
      t.diagnostic(
        `${sent} connections, ${perSecond}/s, ${skipped} more were too many for this machine; ${failures.length} failed, begun from ${Math.min(...since)} to ` +
          `${Math.max(...since)} ms after the kill, out of the rotation after ${leftAt - killedAt} ms; longest ${longestMs} ms`,
      );
      assert.deepEqual(ended.toSorted(), onVictim.toSorted(), 'of those that are held: the ones on it');
      // Taken by its kernel before it was dead, and then reset. One that comes when nobody listens is refused.
      const wasOn = /ECONNRESET|EPIPE|ended without an answer/;
      assert.deepEqual(
        failures.filter(({ why }) => !wasOn.test(why)),
        [],
      );
      const late = failures.filter(({ at }) => at > leftAt + 100);
      assert.equal(late.length, 0, 'nothing new comes to it when it is out');
      // Its kernel ends the connection of the probes, or a probe on it, and refuses the next: nobody waits for silence.
      assert.match(left, /reason=.*(ECONNREFUSED|ECONNRESET)/);
    } finally {
      await back(victim);
    }
  };

  it('kill -9 of one of three under 500 connections/s: none but those on it fail, and it comes back', async (t) => {
    const holder = await theHolder();
    const victim = cluster.lab.controlPlanes.find(({ name }) => name !== holder.name);
    assert.ok(victim !== undefined);
    await killUnderLoad(t, victim, trackedOn);
    const again = await load(60);
    await waitFor(async () => ((await spread(holder))[victim.ipv4] ?? 0) > 10, {
      what: 'connections to it again',
    });
    assert.deepEqual((await again.stop()).failures, []);
  });

  it('kill -9 of the API server of the holder under 500 connections/s: none but those on it fail', async (t) => {
    await killUnderLoad(t, await theHolder(), trackedOn);
  });

  it('a watch on a killed API server is broken with a reset, not left hanging', async () => {
    const holder = await theHolder();
    const victim = cluster.lab.controlPlanes.find(({ name }) => name !== holder.name);
    assert.ok(victim !== undefined);
    const config = cluster.api.kubeconfig(cluster.lab.client, 'admin', `https://${vip}:6443`);
    const watches = Array.from({ length: 6 }, (_, n) =>
      cluster.lab.client.start(`watch${n}`, [
        requireComponent('kubectl'),
        `--kubeconfig=${config}`,
        'get',
        'nodes',
        '--watch',
        '-v=0',
      ]),
    );
    // Two of the six are on each.
    await waitFor(
      async () =>
        watches.every((watch) => watch.log().includes(victim.name)) &&
        (await victim.run('ss', ['-Htn', 'state', 'established', 'dst', vip])).trim() !== '',
      { what: 'all watches to have begun' },
    );
    try {
      // The whole machine goes silent: no FIN, no RST comes from it.
      await victim.cable.cut('both');
      await sleep(100);
      await cluster.real.processesOf(victim).apiserver.kill();
      await waitFor(() => watches.some((watch) => !watch.alive), {
        what: 'a watch to end',
        timeoutMs: 60_000,
      });
    } finally {
      await Promise.all(watches.filter((watch) => watch.alive).map((watch) => watch.kill()));
      await victim.cable.heal();
      await back(victim);
    }
  });

  it('losing the VIP takes the balancer out of the kernel; a killed daemon finds its own rules again', async () => {
    const holder = await theHolder();
    const rules = async (): Promise<boolean> => (await holder.run('nft', ['list', 'ruleset'])).includes(vip);
    await cluster.daemon(holder).kill();
    assert.equal(await rules(), true);
    await waitFor(() => cluster.daemon(holder).process.alive, { what: 'a restart' });
    await cluster.daemon(holder).waitReady();
    await theHolder();
    assert.equal(await rules(), true);
    await cluster.daemon(holder).stop();
    assert.equal(await rules(), false);
  });

  describe('with direct return', () => {
    before(async () => {
      await restart({ lb_fwdmethod: 'directroute' });
    });

    /** The servers know the client's own address. */
    const clientsOf = async (server: Machine): Promise<readonly number[]> => {
      const established = ['-Htn', 'state', 'established', 'sport', '=', ':6443'];
      const lines = (await server.run('ss', established)).split('\n');
      return lines.flatMap((line) => /:(\d+)\s*$/.exec(line)?.[1] ?? []).map(Number);
    };
    const connectedTo: HeldOn = (_holder, server, ports) =>
      waitFor(
        async () => {
          const nodes = cluster.lab.controlPlanes;
          const held = await Promise.all(
            nodes.map(async (node) => (await clientsOf(node)).filter((port) => ports.includes(port))),
          );
          return held.flat().length === ports.length ? held[nodes.indexOf(server)] : undefined;
        },
        { what: 'the held connections to be there' },
      );

    for (const which of ['the holder', 'another node'] as const)
      it(`kill -9 of the API server of ${which} under 500 connections/s: none but those on it fail`, async (t) => {
        const holder = await theHolder();
        const isIt = ({ name }: Machine): boolean => (name === holder.name) === (which === 'the holder');
        const victim = cluster.lab.controlPlanes.find(isIt);
        assert.ok(victim !== undefined);
        await killUnderLoad(t, victim, connectedTo);
      });
  });

  describe('with the method local, checked at a path that only known users may ask for', () => {
    before(async () => {
      await restart({ lb_fwdmethod: 'local', lb_probe_path: '/apis' });
    });

    it('CP-170 the checks use the configured kubeconfig', async () => {
      const node = await theHolder();
      const asked = await node.tryRun('curl', [
        '-sk',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        'https://127.0.0.1:6443/apis',
      ]);
      assert.equal(asked.stdout, '403', 'nobody is told without credentials');
      await allServe();
    });

    it('CP-164 the holder gives the lease up when its own API server is dead', async () => {
      const holder = await theHolder();
      await cluster.real.processesOf(holder).apiserver.kill();
      const next = await waitFor(
        async () => {
          const [name] = (await cluster.lab.holders(vip)).filter((each) => each !== holder.name);
          return name;
        },
        { what: 'another holder', timeoutMs: 60_000 },
      );
      assert.notEqual(next, holder.name);
      assert.match(cluster.daemon(holder).log(), /local API server is dead/);
      assert.equal(cluster.daemon(holder).exits.length, 0, 'the process goes on');
      cluster.real.startNode(holder);
      await cluster.real.waitReady([holder]);
    });
  });
});
