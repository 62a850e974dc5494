import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it, test } from 'node:test';
import { containerRun } from '../../../lab/datapath/container.ts';
import { PodNetwork } from '../../../lab/datapath/pod-network.ts';
import { chooseNode } from '../../../lab/datapath/scheduler.ts';
import type { NodeObject, Pod } from '../../../lab/datapath/types.ts';
import { ensurePrivilege, Lab, listNamespaces, tryRun, waitFor } from '../../../lab/index.ts';

const refused = ensurePrivilege();

function node(name: string, spec: NodeObject['spec'] = {}, ready = 'True'): NodeObject {
  return { metadata: { name }, spec, status: { conditions: [{ type: 'Ready', status: ready }] } };
}

function pod(name: string, labels: Readonly<Record<string, string>>, spec: Partial<Pod['spec']> = {}): Pod {
  return { metadata: { name, namespace: 'shop', uid: name, labels }, spec: { containers: [], ...spec } };
}

test('a pod goes where the fewest copies of its workload are, whatever their revision', () => {
  const nodes = [node('a'), node('b'), node('c')];
  const copy = (name: string, revision: string, nodeName?: string): Pod =>
    pod(name, { app: 'web', 'pod-template-hash': revision }, nodeName === undefined ? {} : { nodeName });
  const present = [
    copy('1', 'old', 'a'),
    copy('2', 'old', 'b'),
    pod('3', { app: 'other' }, { nodeName: 'c' }),
  ];
  assert.equal(chooseNode(copy('4', 'new'), nodes, present)?.metadata.name, 'c');
  const leaving: Pod = {
    ...copy('1', 'old', 'a'),
    metadata: { ...copy('1', 'old').metadata, deletionTimestamp: 'now' },
  };
  const later = [leaving, copy('2', 'old', 'b'), copy('4', 'new', 'c')];
  assert.equal(
    chooseNode(copy('5', 'new'), nodes, later)?.metadata.name,
    'a',
    'what is leaving does not count',
  );
});

test('cordoned nodes and those that are not ready get no pods', () => {
  const nodes = [node('a', { unschedulable: true }), node('b', {}, 'Unknown'), node('c')];
  assert.equal(chooseNode(pod('1', {}), nodes, [])?.metadata.name, 'c');
  assert.equal(chooseNode(pod('1', {}), nodes.slice(0, 2), []), undefined);
});

test('a container runs with its variables and its volumes', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'kube-vip-container-'));
  try {
    const container = {
      name: 'one',
      image: 'docker.io/library/node:24-alpine',
      command: ['node', '/srv/say.mjs'],
      env: [
        { name: 'WORD', value: 'hello' },
        { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'WHERE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ],
      volumeMounts: [{ name: 'program', mountPath: '/srv' }],
    };
    const place = {
      nodeName: 'cp1',
      hostIp: '10.77.0.11',
      addresses: { ipv4: '10.244.0.2', ipv6: 'fd00:244::2' },
      dir,
      configMaps: new Map([
        [
          'files',
          { 'say.mjs': 'const { WORD, WHO, WHERE, IP } = process.env; console.log(WORD, WHO, WHERE, IP);' },
        ],
      ]),
    };
    const volumes = [{ name: 'program', configMap: { name: 'files' } }];
    const { command, env } = containerRun(pod('p', {}, { containers: [container], volumes }), place);
    assert.match(readFileSync(path.join(dir, 'program', 'say.mjs'), 'utf8'), /WORD/);
    if (refused === undefined) {
      const [program = '', ...args] = command;
      const { stdout, stderr } = await tryRun(program, args, { env });
      assert.equal(stdout, 'hello p cp1 10.244.0.2\n', stderr);
    }
    const foreign = pod('p', {}, { containers: [{ ...container, image: 'nginx:1' }], volumes });
    assert.throws(() => containerRun(foreign, place), /no image nginx:1/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe('the pod network', { skip: refused?.because ?? false }, () => {
  it('pods reach one another and the nodes, in both families, on one node and across', async () => {
    const lab = await Lab.start({ controlPlanes: 2 });
    try {
      const network = new PodNetwork(lab);
      await Promise.all(lab.nodes.map((each) => network.prepare(each)));
      const [first, neighbour, far] = [
        await network.attach(lab.node(0)),
        await network.attach(lab.node(0)),
        await network.attach(lab.node(1)),
      ];
      assert.deepEqual(far.addresses, { ipv4: '10.244.1.2', ipv6: 'fd00:244:1::2' });
      const targets = [neighbour.addresses, far.addresses, lab.node(1)].flatMap(({ ipv4, ipv6 }) => [
        ipv4,
        ipv6,
      ]);
      for (const target of targets) {
        const ping = ['netns', 'exec', first.namespace, 'ping', '-n', '-c', '1', '-W', '2', target];
        await waitFor(async () => (await tryRun('ip', ping)).code === 0, { what: `${target} to answer` });
      }
      await waitFor(() => lab.node(0).ping(far.addresses.ipv4), { what: 'the far pod to answer a node' });
      await network.detach(far);
      assert.equal(await lab.node(0).ping(far.addresses.ipv4), false);
      assert.equal((await listNamespaces()).includes(far.namespace), false);
    } finally {
      await lab.stop();
    }
  });
});
