import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { kubeVip } from './helpers.ts';

test('IPAM-16 cloud-controller starts with the provider’s variables and flags, and without any mode', async () => {
  const plain = await kubeVip(['cloud-controller']);
  assert.deepEqual([plain.status, plain.err], [0, '']);
  const defaults = plain.started?.config ?? assert.fail();
  assert.deepEqual(
    [
      defaults.ipamNamespace,
      defaults.ipamConfigMap,
      defaults.ipamClassEnabled,
      defaults.ipamClassName,
      defaults.ipamLeaseName,
      defaults.ipamLeaseNamespace,
    ],
    [
      'kube-system',
      'kubevip',
      false,
      'kube-vip.io/kube-vip-class',
      'kube-vip-cloud-controller',
      'kube-system',
    ],
  );
  assert.deepEqual(plain.controller, {
    isElected: true,
    leaseDurationMs: 15_000,
    renewDeadlineMs: 10_000,
    retryPeriodMs: 2000,
    kubeconfig: undefined,
  });
  const { started, controller } = await kubeVip(
    [
      'cloud-controller',
      '--leader-elect-resource-name=mine',
      '--leader-elect-resource-namespace=there',
      '--leader-elect-lease-duration=5s',
      '--leader-elect-renew-deadline=3s',
      '--leader-elect-retry-period=1s',
      '--OutSideCluster',
    ],
    {
      HOME: '/home/me',
      KUBEVIP_NAMESPACE: 'lb',
      KUBEVIP_CONFIG_MAP: 'pools',
      KUBEVIP_ENABLE_LOADBALANCERCLASS: 'true',
      KUBEVIP_CUSTOM_LOADBALANCERCLASS_NAME: 'example.com/lb',
    },
  );
  const config = started?.config ?? assert.fail();
  assert.deepEqual(
    [config.ipamNamespace, config.ipamConfigMap, config.ipamClassEnabled, config.ipamClassName],
    ['lb', 'pools', true, 'example.com/lb'],
  );
  assert.deepEqual([config.ipamLeaseName, config.ipamLeaseNamespace], ['mine', 'there']);
  assert.deepEqual(controller, {
    isElected: true,
    leaseDurationMs: 5000,
    renewDeadlineMs: 3000,
    retryPeriodMs: 1000,
    kubeconfig: '/home/me/.kube/config',
  });
  const own = await kubeVip(['cloud-controller', '--leader-elect=false', '--kubeconfig', '/k']);
  assert.deepEqual([own.controller?.isElected, own.controller?.kubeconfig], [false, '/k']);
});

test('IPAM-16 flags of the stock cloud-controller-manager are taken; one line says which mean nothing here', async () => {
  const { status, err, started, controller } = await kubeVip([
    'cloud-controller',
    '--leader-elect-resource-name=kube-vip-cloud-controller',
    '--leader-elect=true',
    '--v=4',
    '-v',
    '2',
    '--cloud-provider=kube-vip',
    '--cloud-config',
    '/etc/cloud.conf',
    '--cluster-name=kubernetes',
    '--controllers=*',
    '--allocate-node-cidrs=false',
    '--configure-cloud-routes=false',
    '--use-service-account-credentials',
    '--allow-untagged-cloud',
    '--authentication-skip-lookup=true',
    '--bind-address=127.0.0.1',
    '--secure-port=10258',
    '--leader-elect-resource-lock=leases',
    '--log_file=/x',
    '--logtostderr=true',
    '--feature-gates=A=true',
  ]);
  assert.deepEqual([status, err], [0, '']);
  assert.equal(started?.config.ipamLeaseName, 'kube-vip-cloud-controller');
  assert.equal(controller?.isElected, true);
  assert.equal(
    started.warnings.at(-1),
    'these flags of the cloud-controller-manager mean nothing here: --allocate-node-cidrs, --allow-untagged-cloud, --authentication-skip-lookup, --bind-address, --cloud-config, --cloud-provider, --cluster-name, --configure-cloud-routes, --controllers, --feature-gates, --leader-elect-resource-lock, --log-file, --logtostderr, --secure-port, --use-service-account-credentials, --v',
  );
});

test('IPAM-16 which API server to ask is not passed over; other commands know nothing of these flags', async () => {
  const master = await kubeVip(['cloud-controller', '--master=https://192.0.2.1:6443']);
  assert.match(master.err, /unknown flag: --master/);
  const elsewhere = await kubeVip(['manager', '--cloud-provider=kube-vip']);
  assert.match(elsewhere.err, /unknown flag: --cloud-provider/);
  const help = await kubeVip(['cloud-controller', '--help']);
  assert.doesNotMatch(help.out, /secure-port/);
});

test('IPAM-16 a class switch that is not a boolean, or a bad duration, stops the start', async () => {
  const { status, err, started } = await kubeVip(['cloud-controller'], {
    KUBEVIP_ENABLE_LOADBALANCERCLASS: 'yes',
  });
  assert.deepEqual([status, started], [1, undefined]);
  assert.match(err, /KUBEVIP_ENABLE_LOADBALANCERCLASS="yes": not a boolean/);
  const late = await kubeVip(['cloud-controller', '--leader-elect-retry-period=soon']);
  assert.match(late.err, /--leader-elect-retry-period="soon": not a duration/);
});

test('IPAM-16 manifest cloud-controller has the provider’s names, and exactly the rights it needs', async () => {
  const { status, out } = await kubeVip(['manifest', 'cloud-controller'], { KUBEVIP_CONFIG_MAP: 'pools' });
  assert.equal(status, 0);
  const documents = parseAllDocuments(out).map((document) => document.toJS() as unknown);
  const named = documents as { kind: string; metadata: { name: string; namespace?: string } }[];
  assert.deepEqual(
    named.map(({ kind, metadata }) => [kind, metadata.namespace, metadata.name].join(' ')),
    [
      'ServiceAccount kube-system kube-vip-cloud-controller',
      'ClusterRole  system:kube-vip-cloud-controller-role',
      'ClusterRoleBinding  system:kube-vip-cloud-controller-binding',
      'Deployment kube-system kube-vip-cloud-provider',
    ],
  );
  const { rules } = documents[1] as { rules: { resources: string[]; verbs: string[] }[] };
  assert.deepEqual(
    rules.map(({ resources, verbs }) => `${resources.join()}: ${verbs.join(' ')}`),
    [
      'leases: get list watch create update',
      'configmaps: get list watch create',
      'events: create patch',
      'nodes: get list watch',
      'services: get list watch update',
    ],
  );
  const { spec } = documents[3] as {
    spec: {
      replicas: number;
      selector: object;
      template: {
        spec: {
          serviceAccountName: string;
          tolerations: { key: string }[];
          containers: { args: string[]; env: object[] }[];
        };
      };
    };
  };
  const labels = { app: 'kube-vip', component: 'kube-vip-cloud-provider' };
  assert.deepEqual([spec.replicas, spec.selector], [1, { matchLabels: labels }]);
  const pod = spec.template.spec;
  assert.equal(pod.serviceAccountName, 'kube-vip-cloud-controller');
  assert.deepEqual(
    pod.tolerations.map(({ key }) => key),
    ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'],
  );
  assert.deepEqual(pod.containers[0]?.args, [
    'cloud-controller',
    '--leader-elect-resource-name=kube-vip-cloud-controller',
  ]);
  assert.deepEqual(pod.containers[0].env, [{ name: 'KUBEVIP_CONFIG_MAP', value: 'pools' }]);
});

test('the role of a manager that assigns addresses lets it read and create the ConfigMap', async () => {
  const { out } = await kubeVip(['manifest', 'rbac'], { svc_ipam: 'true' });
  const role = parseAllDocuments(out)
    .map((document) => document.toJS() as unknown)
    .find((document) => (document as { kind: string }).kind === 'ClusterRole');
  const { rules } = role as { rules: { resources: string[]; verbs: string[] }[] };
  const verbsOn = (resource: string): readonly string[] =>
    rules.filter(({ resources }) => resources.includes(resource)).flatMap(({ verbs }) => verbs);
  assert.deepEqual(verbsOn('configmaps'), ['list', 'get', 'watch', 'create']);
  assert.deepEqual(verbsOn('events'), ['create', 'patch']);
  assert.deepEqual(verbsOn('services/status'), ['update', 'patch']);
});
