import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { candidateFiles, selectClient } from '../../../src/kube/index.ts';
import type { ClientInputs } from '../../../src/kube/index.ts';
import { chooseServer } from '../../../src/kube/select-client.ts';
import { parsed } from './subject.ts';

const admin = '/etc/kubernetes/admin.conf';
const home = '/root/.kube/config';
const other = '/etc/kubernetes/super-admin.conf';

function inputs(changes: Partial<ClientInputs> & { readonly files?: readonly string[] } = {}): ClientInputs {
  return {
    electionType: 'kubernetes',
    k8sConfigFile: admin,
    kubernetesAddr: '',
    controlPlane: true,
    detectControlPlane: false,
    port: 6443,
    home: '/root',
    existing: new Set(changes.files ?? [admin]),
    vips: ['10.0.0.100'],
    ...changes,
  };
}

describe('which client: the first match wins', () => {
  const local = { rule: 'local', port: 6443 } as const;
  const rows: readonly (readonly [string, ClientInputs, object])[] = [
    ['etcd elections need none', inputs({ electionType: 'etcd' }), { source: 'none' }],
    [
      'the default path keeps the local rewrite',
      inputs(),
      { source: 'kubeconfig', path: admin, server: local },
    ],
    [
      'an explicit file is used as it is',
      inputs({ k8sConfigFile: other, files: [other, admin] }),
      { source: 'kubeconfig', path: other, server: { rule: 'file' } },
    ],
    [
      'an explicit file that is missing does not count',
      inputs({ k8sConfigFile: other, files: [admin] }),
      { source: 'kubeconfig', path: admin, server: local },
    ],
    [
      'the home path given explicitly is the home path',
      inputs({ k8sConfigFile: home, files: [home] }),
      { source: 'kubeconfig', path: home, server: { rule: 'file' } },
    ],
    [
      'admin.conf goes before the home path, also when that one was asked for',
      inputs({ k8sConfigFile: home, files: [home, admin] }),
      { source: 'kubeconfig', path: admin, server: local },
    ],
    [
      'the home path ignores kubernetes_addr',
      inputs({ files: [home], kubernetesAddr: '127.0.0.1:6443' }),
      { source: 'kubeconfig', path: home, server: { rule: 'file' } },
    ],
    ['no file at all is a Pod', inputs({ files: [] }), { source: 'in-cluster' }],
    ['no home is no home path', inputs({ home: '', files: ['/.kube/config'] }), { source: 'in-cluster' }],
    [
      'kubernetes_addr goes before cp_detect',
      inputs({ detectControlPlane: true, kubernetesAddr: 'a:1' }),
      { source: 'kubeconfig', path: admin, server: { rule: 'override', server: 'a:1' } },
    ],
    [
      'cp_detect',
      inputs({ detectControlPlane: true }),
      { source: 'kubeconfig', path: admin, server: { rule: 'detect' } },
    ],
    [
      'services alone use the server of the file',
      inputs({ controlPlane: false, detectControlPlane: true }),
      { source: 'kubeconfig', path: admin, server: { rule: 'file' } },
    ],
  ];
  for (const [what, given, expected] of rows) {
    it(what, () => {
      assert.deepEqual(selectClient(given), expected);
    });
  }

  it('asks the disk for these files', () => {
    assert.deepEqual(candidateFiles(inputs({ k8sConfigFile: other })), [other, admin, home]);
    assert.deepEqual(candidateFiles({ k8sConfigFile: '', home: '' }), [admin]);
  });
});

describe('which server', () => {
  const given = { controlPlane: true, port: 6443, vips: ['10.0.0.100', 'FD00::0:1', 'api.example'] };

  it('is never our own VIP, however it is written', () => {
    for (const vip of ['https://10.0.0.100:6443', 'https://[fd00::1]:6443', 'https://API.example:6443']) {
      const chosen = chooseServer({ rule: 'file' }, parsed(vip), given);
      assert.deepEqual(chosen, {
        server: { scheme: 'https', host: 'kubernetes', port: 6443, basePath: '' },
        replacedVip: true,
      });
    }
  });

  it('may be the VIP when somebody else carries it: services only', () => {
    const vip = parsed('https://10.0.0.100:6443');
    assert.deepEqual(chooseServer({ rule: 'file' }, vip, { ...given, controlPlane: false }), {
      server: vip,
      replacedVip: false,
    });
  });

  it('is what kubernetes_addr says, or nothing when that is no address', () => {
    const file = parsed('https://10.0.0.100:6443');
    const chosen = chooseServer({ rule: 'override', server: '127.0.0.1:6443' }, file, given);
    assert.deepEqual(chosen?.server, parsed('https://127.0.0.1:6443'));
    assert.equal(chooseServer({ rule: 'override', server: 'a b' }, file, given), undefined);
  });
});
