import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { Cluster, Daemon, ensurePrivilege, requireComponent, waitFor } from '../../../lab/index.ts';
import { oldManifests } from './old-manifests.ts';

const refused = ensurePrivilege();
const main = resolve(import.meta.dirname, '../../../src/main.ts');

describe('manifests and a real API server', { skip: refused?.because ?? false }, () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ api: 'real', controlPlanes: 1 });
  });
  after(async () => {
    await cluster.stop();
  });

  function written(words: string): string {
    const argv = [main, ...words.split(' ')];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { env: {}, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout;
  }

  /** The objects that kubectl says would be made or changed. Strict: an unknown field is an error. */
  async function dryRun(manifest: string): Promise<readonly string[]> {
    const node = cluster.lab.node(0);
    const server = ['--kubeconfig', cluster.api.kubeconfig(node, 'admin')];
    const apply = ['apply', '--dry-run=server', '--validate=strict', '-f', '-'];
    const out = await node.run(requireComponent('kubectl'), [...server, ...apply], { input: manifest });
    return [...out.matchAll(/^(\S+) (?:created|configured) \(server dry run\)$/gm)].map(
      ([, name = '']) => name,
    );
  }

  it('CP-59 the output of every generator passes a server-side dry run', async () => {
    const usual = '--interface eth0 --address 192.0.2.10 --arp --controlplane --leaderElection';
    const rich = `${usual} --services --enableLoadBalancer --lbForwardingMethod masquerade --loseLeadership --log=-4 --prometheusHTTPServer=`;
    const bgp = '--bgp --controlplane --address 2001:db8::1 --bgppeers [2001:db8::2]:65000';
    const pod = ['pod/kube-vip'];
    const daemonSet = ['daemonset.apps/kube-vip-ds'];
    for (const flags of [usual, rich, bgp]) {
      assert.deepEqual(await dryRun(written(`manifest pod ${flags}`)), pod);
      assert.deepEqual(await dryRun(written(`manifest daemonset ${flags} --inCluster --taint`)), daemonSet);
    }
    assert.deepEqual(await dryRun(written(`kubeadm init ${usual}`)), pod);
    assert.deepEqual(await dryRun(written('manifest rbac')), [
      'serviceaccount/kube-vip',
      'clusterrole.rbac.authorization.k8s.io/system:kube-vip-role',
      'clusterrolebinding.rbac.authorization.k8s.io/system:kube-vip-binding',
    ]);
    assert.deepEqual(await dryRun(written('manifest rbac --role')), [
      'serviceaccount/kube-vip',
      'role.rbac.authorization.k8s.io/kube-vip',
      'rolebinding.rbac.authorization.k8s.io/kube-vip',
    ]);
  });

  /** What a kubelet would start: the arguments and the environment of the one container. */
  function started(manifest: string): {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  } {
    const { spec } = parse(manifest) as OldManifest;
    const [container] = (spec.template?.spec ?? spec).containers ?? [];
    assert.ok(container !== undefined, 'it has a container');
    const node = cluster.lab.node(0).name;
    const env = container.env.map(({ name, value }) => [name, value ?? node] as const);
    return { args: container.args, env: Object.fromEntries(env) };
  }

  for (const [title, manifest] of Object.entries(oldManifests))
    it(`CP-210 ${title} starts unchanged and brings the VIP`, async () => {
      const node = cluster.lab.node(0);
      const vip = cluster.lab.plan.vip(0);
      const daemon = new Daemon(node, {
        ...started(manifest.replace('ADDRESS', vip)),
        supervise: false,
        etc: { 'kubernetes/admin.conf': readFileSync(cluster.api.kubeconfig(node, 'admin'), 'utf8') },
      });
      try {
        await daemon.waitReady();
        const detail = (): string => daemon.process.tail();
        await waitFor(() => node.holds(vip), { what: 'the VIP', timeoutMs: 20_000, detail });
      } finally {
        const exit = await daemon.stop(25_000);
        assert.equal(exit.code, 0);
      }
      assert.equal(await node.holds(vip), false);
    });
});

interface OldManifest {
  readonly spec: OldSpec & { readonly template?: { readonly spec: OldSpec } };
}

interface OldSpec {
  readonly containers?: readonly {
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string; readonly value?: string }[];
  }[];
}
