import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { requireComponent } from '../components.ts';
import type { Machine } from '../machine.ts';
import type { RealApi } from '../real-api.ts';
import { Supervised } from '../supervised.ts';
import { clusterCidrs } from './pod-network.ts';

/** What the data path needs of them; everything else would only cost time. */
const controllers = [
  'deployment-controller',
  'replicaset-controller',
  'endpointslice-controller',
  'endpoints-controller',
  'node-lifecycle-controller',
  'taint-eviction-controller',
];

/** On every control-plane node, one of which leads. A node without power is noticed within seconds. */
export function startControllerManager(api: RealApi, node: Machine): Supervised {
  return new Supervised(node, 'kube-controller-manager', [
    requireComponent('kube-controller-manager'),
    `--kubeconfig=${api.kubeconfig(node, 'admin')}`,
    `--controllers=${controllers.join(',')}`,
    '--secure-port=0',
    '--leader-elect-lease-duration=5s',
    '--leader-elect-renew-deadline=4s',
    '--leader-elect-retry-period=1s',
    '--node-monitor-period=500ms',
    '--node-monitor-grace-period=6s',
    // The default holds back the controllers when a rollout touches many objects at once.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ]);
}

/** On every node; workers ask the given server. Logs to kube-proxy.log. */
export function startProxy(api: RealApi, node: Machine, server?: string): Supervised {
  const dir = path.join(node.dir, 'kube-proxy');
  mkdirSync(dir, { recursive: true });
  return new Supervised(node, 'kube-proxy', [
    requireComponent('kube-proxy'),
    `--kubeconfig=${api.kubeconfig(node, 'admin', server)}`,
    `--hostname-override=${node.name}`,
    '--proxy-mode=nftables',
    `--cluster-cidr=${clusterCidrs}`,
    // These settings belong to the machine, not to a namespace.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s',
    '--v=2',
  ]);
}
