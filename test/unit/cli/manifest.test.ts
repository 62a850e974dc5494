import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { containerSettings } from '../../../src/cli/manifest/env.ts';
import { buildInfo } from '../../../src/config/index.ts';
import { loadConfig } from '../config/helpers.ts';
import { kubeVip } from './helpers.ts';

/** The little of a manifest that tests look into. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: PodSpec & { readonly template: { readonly metadata: object; readonly spec: PodSpec } };
}

interface PodSpec {
  readonly containers: readonly [
    {
      readonly image: string;
      readonly args: readonly string[];
      readonly env: readonly {
        readonly name: string;
        readonly value?: string;
        readonly valueFrom?: object;
      }[];
      readonly securityContext: object;
    },
  ];
  readonly volumes?: readonly { readonly hostPath: { readonly path: string } }[];
  readonly [key: string]: unknown;
}

async function written(line: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { status, out, err } = await kubeVip(line.split(' '), env);
  assert.equal(status, 0, err);
  return out;
}

async function podOf(flags: string, env?: Readonly<Record<string, string>>): Promise<Manifest> {
  return parse(await written(`manifest pod ${flags}`, env)) as Manifest;
}

/** `NAME=value` for each variable, in order. */
async function envOf(flags: string, env?: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { spec } = await podOf(flags, env);
  return spec.containers[0].env.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`));
}

async function refused(line: string): Promise<string> {
  const { status, out, err } = await kubeVip(line.split(' '));
  assert.deepEqual([status, out], [1, '']);
  return err;
}

const usual = '--interface eth0 --address 192.0.2.10 --arp --controlplane --leaderElection';

test('CP-40 manifest pod writes a Pod for the host network with the kubeconfig of the host', async () => {
  const pod = await podOf(usual);
  const [container] = pod.spec.containers;
  assert.deepEqual(pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'kube-vip', namespace: 'kube-system' },
    spec: {
      containers: [
        {
          args: ['manager'],
          env: container.env,
          image: `ghcr.io/kube-vip/kube-vip:${buildInfo.version}`,
          imagePullPolicy: 'IfNotPresent',
          name: 'kube-vip',
          resources: {},
          securityContext: { capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] } },
          volumeMounts: [{ mountPath: '/etc/kubernetes/admin.conf', name: 'kubeconfig' }],
        },
      ],
      hostAliases: [{ hostnames: ['kubernetes'], ip: '127.0.0.1' }],
      hostNetwork: true,
      volumes: [{ hostPath: { path: '/etc/kubernetes/admin.conf' }, name: 'kubeconfig' }],
    },
    status: {},
  });
});

test('CP-41 its environment is that of kube-vip, in the same order', async () => {
  assert.deepEqual(await envOf(usual), [
    'vip_arp=true',
    'port=6443',
    'vip_nodename',
    'vip_interface=eth0',
    'vip_subnet=32',
    'dns_mode=first',
    'dhcp_mode=ipv4',
    'cp_enable=true',
    'cp_namespace=kube-system',
    'vip_leaderelection=true',
    'vip_leasename=plndr-cp-lock',
    'vip_leaseduration=15',
    'vip_renewdeadline=10',
    'vip_retryperiod=2',
    'address=192.0.2.10',
    'prometheus_server=:2112',
  ]);
  const { env } = (await podOf(usual)).spec.containers[0];
  assert.deepEqual(env[2]?.valueFrom, { fieldRef: { fieldPath: 'spec.nodeName' } });
});

test('CP-42 --inCluster uses the service account, with neither volume nor alias', async () => {
  const { spec } = await podOf(`${usual} --inCluster`);
  assert.deepEqual(Object.keys(spec).sort(), ['containers', 'hostNetwork', 'serviceAccountName']);
  assert.equal(spec['serviceAccountName'], 'kube-vip');
  assert.ok(!('volumeMounts' in spec.containers[0]));
});

test('CP-43 --k8sConfigPath is the path on the host; the mount path stays', async () => {
  const { spec } = await podOf(`${usual} --k8sConfigPath /etc/kubernetes/super-admin.conf`);
  assert.equal(spec.volumes?.[0]?.hostPath.path, '/etc/kubernetes/super-admin.conf');
  assert.match(JSON.stringify(spec.containers), /"mountPath":"\/etc\/kubernetes\/admin.conf"/);
  assert.doesNotMatch(JSON.stringify(spec.containers), /super-admin/);
});

test('CP-44 masquerade needs a privileged container, anything else two capabilities', async () => {
  const { spec } = await podOf(`${usual} --lbForwardingMethod masquerade`);
  assert.deepEqual(spec.containers[0].securityContext, { privileged: true });
  const local = await podOf(`${usual} --enableLoadBalancer`);
  assert.deepEqual(local.spec.containers[0].securityContext, {
    capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
  });
});

describe('DaemonSet', () => {
  const exists = (role: string) => ({
    matchExpressions: [{ key: `node-role.kubernetes.io/${role}`, operator: 'Exists' }],
  });

  test('CP-45 --taint tolerates every taint and wants a control-plane node by either label', async () => {
    const { spec } = parse(await written(`manifest daemonset ${usual} --taint`)) as Manifest;
    assert.deepEqual(spec.template.spec['tolerations'], [
      { effect: 'NoSchedule', operator: 'Exists' },
      { effect: 'NoExecute', operator: 'Exists' },
    ]);
    assert.deepEqual(spec.template.spec['affinity'], {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [exists('master'), exists('control-plane')],
        },
      },
    });
    const plain = parse(await written(`manifest daemonset ${usual}`)) as Manifest;
    assert.ok(!('tolerations' in plain.spec.template.spec) && !('affinity' in plain.spec.template.spec));
  });

  test('CP-46 has the name, the labels and a selector on the name alone, and no status', async () => {
    const daemonSet = parse(await written(`manifest daemonset ${usual}`)) as Manifest;
    const labels = {
      'app.kubernetes.io/name': 'kube-vip-ds',
      'app.kubernetes.io/version': buildInfo.version,
    };
    const pod = await podOf(usual);
    assert.deepEqual(daemonSet, {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'kube-vip-ds', namespace: 'kube-system', labels },
      spec: {
        selector: { matchLabels: { 'app.kubernetes.io/name': 'kube-vip-ds' } },
        template: { metadata: { labels }, spec: pod.spec },
        updateStrategy: {},
      },
    });
  });
});

describe('RBAC', () => {
  const rules = [
    { apiGroups: [''], resources: ['services/status'], verbs: ['update', 'patch'] },
    { apiGroups: [''], resources: ['services', 'endpoints'], verbs: ['list', 'get', 'watch', 'update'] },
    { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'get', 'watch', 'update', 'patch'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['list', 'get', 'watch', 'update', 'create'],
    },
    {
      apiGroups: ['discovery.k8s.io'],
      resources: ['endpointslices'],
      verbs: ['list', 'get', 'watch', 'update'],
    },
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  ];
  const serviceCidrs = {
    apiGroups: ['networking.k8s.io'],
    resources: ['servicecidrs'],
    verbs: ['list', 'get', 'watch'],
  };
  const apiGroup = 'rbac.authorization.k8s.io';
  const apiVersion = `${apiGroup}/v1`;

  async function documents(
    line: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<readonly unknown[]> {
    const text = await written(line, env);
    assert.equal(text.match(/^---$/gm)?.length, 3);
    return parseAllDocuments(text).map((document) => document.toJS() as unknown);
  }

  test('CP-47 is an account, a ClusterRole and their binding', async () => {
    assert.deepEqual(await documents('manifest rbac'), [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kube-vip', namespace: 'kube-system' } },
      {
        apiVersion,
        kind: 'ClusterRole',
        metadata: { name: 'system:kube-vip-role' },
        rules: [...rules, serviceCidrs],
      },
      {
        apiVersion,
        kind: 'ClusterRoleBinding',
        metadata: { name: 'system:kube-vip-binding' },
        roleRef: { apiGroup, kind: 'ClusterRole', name: 'system:kube-vip-role' },
        subjects: [{ kind: 'ServiceAccount', name: 'kube-vip', namespace: 'kube-system' }],
      },
    ]);
  });

  test('CP-48 --role is a Role and a RoleBinding in the namespace of the Services', async () => {
    const env = { svc_enable: 'true', svc_namespace: 'apps' };
    assert.deepEqual(await documents('manifest rbac --role', env), [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'kube-vip', namespace: 'apps' } },
      { apiVersion, kind: 'Role', metadata: { name: 'kube-vip', namespace: 'apps' }, rules },
      {
        apiVersion,
        kind: 'RoleBinding',
        metadata: { name: 'kube-vip', namespace: 'apps' },
        roleRef: { apiGroup, kind: 'Role', name: 'kube-vip' },
        subjects: [{ kind: 'ServiceAccount', name: 'kube-vip' }],
      },
    ]);
  });

  test('--rolebinding alone binds to the ClusterRole', async () => {
    const [, role, binding] = (await documents('manifest rbac --rolebinding')) as [
      unknown,
      Manifest,
      Manifest,
    ];
    assert.equal(role.kind, 'ClusterRole');
    assert.deepEqual(binding, {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name: 'kube-vip', namespace: 'kube-system' },
      roleRef: { apiGroup, kind: 'ClusterRole', name: 'system:kube-vip-role' },
      subjects: [{ kind: 'ServiceAccount', name: 'kube-vip' }],
    });
  });
});

test('CP-49 an image without tag gets this version; names are completed; a digest is refused', async () => {
  const version = buildInfo.version;
  const rows: readonly [string, string][] = [
    ['repo/img', `index.docker.io/repo/img:${version}`],
    ['repo/img:1', 'index.docker.io/repo/img:1'],
    ['img', `index.docker.io/library/img:${version}`],
    ['registry.example:5000/img', `registry.example:5000/img:${version}`],
    ['registry.example/a/b/img:v1.2', 'registry.example/a/b/img:v1.2'],
    ['localhost/img', `localhost/img:${version}`],
  ];
  for (const [image, full] of rows) {
    const { spec } = await podOf(`${usual} --image ${image}`);
    assert.equal(spec.containers[0].image, full);
  }
  for (const image of ['img@sha256:0123', 'IMG', 'a//b', '/a', 'a:', 'a:b:c', '-'])
    assert.match(await refused(`manifest pod ${usual} --image=${image}`), /^Error: cannot parse /, image);
});

test('CP-50 a mixed list of addresses means vip_subnet 32,128 in either order', async () => {
  for (const list of ['192.0.2.10,2001:db8::10', '2001:db8::10,192.0.2.10']) {
    const env = await envOf(`--arp --controlplane --address ${list}`);
    assert.ok(env.includes('vip_subnet=32,128'));
    assert.ok(env.includes(`address=${list}`));
  }
});

test('CP-51 --vip alone means vip_address, and vip_subnet only when it was given', async () => {
  const env = await envOf('--arp --controlplane --vip 192.0.2.10');
  assert.ok(env.includes('vip_address=192.0.2.10'));
  assert.ok(!env.some((line) => line.startsWith('vip_subnet') || line.startsWith('address')));
  assert.ok((await envOf('--arp --controlplane --vip 192.0.2.10 --vipSubnet 24')).includes('vip_subnet=24'));
});

test('CP-52 for Services alone there is no cp_ variable, and vip_address is empty', async () => {
  const env = await envOf('--arp --services --interface eth0 --servicesElection --lbClassOnly');
  assert.ok(!env.some((line) => line.startsWith('cp_')));
  assert.ok(env.includes('vip_address'));
  const services = [
    'svc_enable=true',
    'svc_leasename=plndr-svcs-lock',
    'svc_election=true',
    'lb_class_only=true',
  ];
  assert.deepEqual(
    env.filter((line) => /^(svc|lb)_/.test(line)),
    services,
  );
});

test('CP-53 --loseLeadership is written with its timeout under a name of its own', async () => {
  const env = await envOf(`${usual} --loseLeadership`);
  assert.deepEqual(
    env.filter((line) => line.startsWith('vip_lose')),
    ['vip_loseleadership=true', 'vip_loseleadership_timeout_seconds=30'],
  );
});

test('CP-54 --bgp writes its block with all peers joined', async () => {
  const peers = '192.168.0.10:65000::false,192.168.0.11:65000::false';
  const env = await envOf(
    `--bgp --controlplane --address 192.0.2.1 --bgpRouterID 192.0.2.2 --localAS 65001 --bgppeers ${peers} --peerPass geheim --sourceIF eth0`,
  );
  const block = env.slice(env.indexOf('bgp_enable=true'), env.indexOf('address=192.0.2.1'));
  assert.deepEqual(block, [
    'bgp_enable=true',
    'bgp_routerid=192.0.2.2',
    'bgp_as=65001',
    'bgp_peeraddress',
    'bgp_peerpass=geheim',
    'bgp_peeras=65000',
    'bgp_sourceif=eth0',
    `bgp_peers=${peers}`,
  ]);
});

test('CP-54 peers are passed on as their flags write them', async () => {
  const flags =
    '--bgp --controlplane --address 192.0.2.1 --bgppeers 192.0.2.3:65000 --bgppeers [2001:db8::1]:65000:pw';
  assert.ok((await envOf(flags)).includes('bgp_peers=192.0.2.3:65000,[2001:db8::1]:65000:pw'));
});

test('CP-54 peers of the environment are joined again by commas', async () => {
  const env = await envOf('--bgp --controlplane --address 192.0.2.1', {
    bgp_peers: '192.0.2.3:65000,[2001:db8::1]:65000:pw',
  });
  assert.deepEqual(
    env.filter((line) => line.startsWith('bgp_peers=')),
    ['bgp_peers=192.0.2.3:65000::false,[2001:db8::1]:65000:pw:false'],
  );
});

test('CP-55 the health check has five variables, and none without an address', async () => {
  const flags = '--controlPlaneHealthCheckTimeoutSeconds 4 --controlPlaneHealthCheckCAPath /ca.crt';
  const env = await envOf(`${usual} --controlPlaneHealthCheckAddress https://127.0.0.1:6443/livez ${flags}`);
  assert.deepEqual(
    env.filter((line) => line.startsWith('control_plane_health_check')),
    [
      'control_plane_health_check_address=https://127.0.0.1:6443/livez',
      'control_plane_health_check_period_seconds=5',
      'control_plane_health_check_timeout_seconds=4',
      'control_plane_health_check_failure_threshold=3',
      'control_plane_health_check_ca_path=/ca.crt',
    ],
  );
  for (const without of [usual, `${usual} ${flags}`])
    assert.ok(!(await envOf(without)).some((line) => line.startsWith('control_plane')));
});

test('CP-56 without address, or kubeadm without interface, there is a message on stderr alone', async () => {
  for (const kind of ['pod', 'daemonset', 'rbac'])
    assert.match(
      await refused(`manifest ${kind} --arp --controlplane`),
      /^Error: no address is specified for kube-vip/,
    );
  assert.match(
    await refused('kubeadm init --address 192.0.2.1'),
    /^Error: No interface is specified for kube-vip to bind to/,
  );
  assert.match(
    await refused('kubeadm init --interface eth0'),
    /^Error: No address is specified for kube-vip/,
  );
  assert.match(await refused(`manifest pod ${usual} --leaseDuration 1`), /lease duration must be greater/);
});

test('CP-57 kubeadm join needs its kubeconfig', async () => {
  assert.equal(
    await refused(`kubeadm join ${usual} --config /missing`),
    'Error: kubeConfig not found: /missing; name it with --config\n',
  );
  assert.equal(await written(`kubeadm join ${usual}`), await written(`manifest pod ${usual}`));
});

test('the image of the original with our version is some other program: without --image stderr says so', async () => {
  for (const command of [
    'manifest pod',
    'manifest daemonset',
    'manifest cloud-controller',
    'kubeadm init',
    'kubeadm join',
  ]) {
    const flags = command.includes('cloud') ? [] : usual.split(' ');
    const words = [...command.split(' '), ...flags];
    const { status, out, err } = await kubeVip(words);
    assert.equal(status, 0);
    const image = `ghcr.io/kube-vip/kube-vip:${buildInfo.version}`;
    assert.match(out, new RegExp(`image: ${image}$`, 'm'));
    assert.match(err, new RegExp(`^Warning: image ${image} is not this program, .*--image$`, 'm'));
    const named = await kubeVip([...words, '--image', 'registry.example/kube-vip:1']);
    assert.match(named.out, /image: registry\.example\/kube-vip:1$/m);
    assert.equal(named.err, '');
  }
  assert.equal((await kubeVip(['manifest', 'rbac'])).err, '');
});

test('CP-58 kubeadm init writes what manifest pod writes', async () => {
  assert.equal(await written(`kubeadm init ${usual}`), await written(`manifest pod ${usual}`));
});

describe('nothing that was set is lost', () => {
  test('settings beyond those of kube-vip’s generator', async () => {
    const { spec } = await podOf(
      `${usual} --log=-4 --tableID 7 --egressWithNftables=false --skipDAD --leaderElectionType=etcd --etcdEndpoints=a,b --prometheusHTTPServer=`,
      { vip_arpRate: '1000', kubernetes_addr: '127.0.0.1:6443' },
    );
    const { env, args } = spec.containers[0];
    const extra = env.slice(env.findIndex(({ name }) => name === 'prometheus_server'));
    assert.deepEqual(
      extra.map(({ name, value }) => `${name}=${value ?? ''}`),
      [
        'prometheus_server=',
        'vip_skipdad=true',
        'vip_arpRate=1000',
        'kubernetes_addr=127.0.0.1:6443',
        'vip_loglevel=-4',
        'vip_routingtableid=7',
        'egress_withnftables=false',
      ],
    );
    assert.deepEqual(args, [
      'manager',
      '--prometheusHTTPServer=',
      '--leaderElectionType=etcd',
      '--etcdEndpoints=a,b',
    ]);
  });

  test('the daemon reads back what the manifest says, whatever texts are in it', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
        fc.string({ minLength: 1 }).filter((text) => text.trim() !== ''),
        fc.integer({ min: 500, max: 60_000 }),
        fc.boolean(),
        (lease, link, rate, labels) => {
          const surroundings = { readFile: () => '', hostname: 'h' };
          const base = ['--arp', '--controlplane', '--address=192.0.2.1'];
          const argv = [
            ...base,
            `--leaseName=${lease}`,
            `--interface=${link}`,
            `--arpBroadcastRate=${rate}`,
            `--enableNodeLabeling=${labels}`,
          ];
          const { config, sources } = loadConfig({ ...surroundings, argv, env: { vip_nodename: 'n' } });
          const { env, args } = containerSettings(config, sources);
          const given = Object.fromEntries(
            env.map((entry) => [entry.name, 'value' in entry ? entry.value : undefined]),
          );
          const again = loadConfig({ ...surroundings, argv: args, env: { ...given, vip_nodename: 'n' } });
          assert.deepEqual(again.config, config);
        },
      ),
    );
  });

  test('texts that look like other types stay texts', async () => {
    for (const text of [
      'yes',
      'on',
      'null',
      '~',
      '010',
      '1e3',
      '1:30',
      '0x1f',
      '2001-01-01',
      'a: b',
      '# x',
      '- y',
      '""',
      '=',
    ]) {
      const { status, out } = await kubeVip([
        'manifest',
        'pod',
        '--arp',
        '--services',
        `--interface=${text}`,
      ]);
      assert.equal(status, 0);
      for (const version of ['1.1', '1.2'] as const) {
        const pod = parse(out, { version }) as Manifest;
        assert.equal(pod.spec.containers[0].env.find(({ name }) => name === 'vip_interface')?.value, text);
      }
    }
  });
});

test('what the daemon would refuse as not built yet is said on stderr', async () => {
  const { status, out, err } = await kubeVip(['manifest', 'pod', '--wireguard', '--bgp', '--zebra']);
  assert.equal(status, 0);
  assert.notEqual(out, '');
  assert.match(
    err,
    /^Warning: not implemented yet: --wireguard=true \(WireGuard mode\)\nWarning: not implemented yet: --zebra=true/,
  );
});
