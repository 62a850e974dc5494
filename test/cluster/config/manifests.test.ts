import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Cluster, ensurePrivilege, requireComponent } from '../../../lab/index.ts';

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
});
