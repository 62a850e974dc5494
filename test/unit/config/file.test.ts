import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { load, loadConfig, read, refusal, working } from './helpers.ts';

function refusedFile(path: string, content?: string): string {
  return refusal({
    argv: ['--config-file', path],
    env: working,
    files: content === undefined ? {} : { [path]: content },
  });
}

test('CP-13 a file that is missing or malformed is named, with the place of the mistake', () => {
  assert.equal(
    refusedFile('/no/such.yaml'),
    'flag --config-file="/no/such.yaml": config file does not exist: /no/such.yaml; check the path and its permissions',
  );
  assert.match(
    refusedFile('a.yaml', 'enableARP: [true\nx: 1'),
    /^flag --config-file="a.yaml": failed to parse as YAML: [^\n]*line \d+, column \d+; correct the file$/,
  );
  assert.match(
    refusedFile('a.json', '{"enableARP": true,}'),
    /^flag --config-file="a.json": failed to parse as JSON: /,
  );
  assert.match(refusedFile('a.json', '[1]'), /flag --config-file="a.json": is not an object with settings/);
  assert.match(
    refusal({ env: { ...working, config_file: 'x.yml' } }),
    /^env config_file="x.yml": config file does not exist/,
  );
  assert.match(refusal({ env: working, argv: ['--config-file='] }), /config file path is empty/);
});

test('a file that cannot be read is a problem, not a crash', () => {
  const readFile = (): string => {
    throw Object.assign(new Error('EISDIR: illegal operation on a directory, read'), { code: 'EISDIR' });
  };
  assert.throws(
    () => loadConfig({ argv: ['--config-file=d.yaml'], env: working, hostname: 'h', readFile }),
    /flag --config-file="d.yaml": cannot read: EISDIR: illegal operation/,
  );
});

describe('what is in a file', () => {
  const yaml = (content: string) => read({ argv: ['--config-file=c.YAML'], files: { 'c.YAML': content } });

  test('an empty file, or empty values, set nothing', () => {
    for (const content of ['', '# only a comment\n', '---\n', 'address:\nport: ~\netcd:\n'])
      assert.deepEqual(yaml(content).config, yaml('').config);
  });

  test('of several documents the first counts; merge keys are followed', () => {
    const bgp = 'x: &a {as: 65001}\nbgpConfig: {<<: *a, routerID: 192.0.2.9}\n';
    const text = `---\n${bgp}port: 7443\n---\nport: 1\n---\n`;
    const { config, warnings } = yaml(text);
    assert.deepEqual([config.port, config.bgpAs, config.bgpRouterId], [7443, 65001, '192.0.2.9']);
    assert.equal(warnings.filter((line) => line.includes('<<')).length, 0);
  });

  test('text stays as it was written', () => {
    const { config } = yaml(
      'instanceName: 010\nleaseName: 1.0\nvipSubnet: 24\nnodeName: true\ninterface: "yes"\n',
    );
    assert.deepEqual(
      [config.instanceName, config.leaseName, config.vipSubnet, config.nodeName, config.interface],
      ['010', '1.0', '24', 'true', 'yes'],
    );
  });

  test('booleans may be YAML 1.1 words', () => {
    const { config } = yaml('enableARP: yes\nenableControlPlane: "on"\negressWithNftables: Off\n');
    assert.deepEqual(
      [config.enableArp, config.enableControlPlane, config.egressWithNftables],
      [true, true, false],
    );
  });

  test('a value of the wrong type names the key', () => {
    const { problems } = yaml('enableARP: maybe\nport: [1]\netcd: {endpoints: [1]}\nleaseDuration: 1.5\n');
    assert.deepEqual(
      problems.map(({ source, problem }) => `${source}: ${problem}`),
      [
        'file c.YAML key enableARP: not a boolean',
        'file c.YAML key port: is a list',
        'file c.YAML key leaseDuration: not a whole number',
        'file c.YAML key etcd.endpoints: not a list of strings',
      ],
    );
  });

  test('a byte order mark, as editors put it there, is no part of the text', () => {
    for (const path of ['c.yaml', 'c.json']) {
      const files = { [path]: '\uFEFF{"port": 7443}' };
      assert.equal(read({ argv: ['--config-file', path], files }).config.port, 7443);
    }
  });

  test('whole numbers may be written with a fraction of zero', () => {
    assert.equal(yaml('leaseDuration: 20.0').config.leaseDuration, 20);
    assert.match(yaml('leaseDuration: 20.5').problems[0]?.problem ?? '', /not a whole number/);
  });

  test('values of lease annotations that YAML takes for numbers and booleans are texts', () => {
    const { config } = yaml('leaseAnnotations: {a: b, c: 1, d: true, e: 1.0}');
    assert.deepEqual({ ...config.leaseAnnotations }, { a: 'b', c: '1', d: 'true', e: '1.0' });
    assert.equal(yaml('leaseAnnotations: {a: [1]}').problems.length, 1);
  });

  test('who writes names of the environment or of flags is told the key', () => {
    const { warnings } = yaml('vip_arp: true\nloseLeadershiptTimeoutSeconds: 3\n');
    assert.deepEqual(warnings, [
      'file c.YAML: unknown key vip_arp is ignored; did you mean enableARP?',
      'file c.YAML: unknown key loseLeadershiptTimeoutSeconds is ignored; did you mean loseLeadershipTimeoutSeconds?',
    ]);
  });

  test('unknown keys are ignored with a warning and a suggestion', () => {
    const { warnings } = yaml(
      'enableArpp: true\nbgpConfig: {routerId: 1.2.3.4, hodlTime: 3}\nzzzzzzzz: 1\netcd: 5\nloadBalancers: []\n',
    );
    assert.deepEqual(warnings, [
      'file c.YAML: unknown key enableArpp is ignored; did you mean enableARP?',
      'file c.YAML: unknown key bgpConfig.hodlTime is ignored; did you mean bgpConfig.holdTime?',
      'file c.YAML: unknown key zzzzzzzz is ignored',
      'file c.YAML: unknown key etcd is ignored',
    ]);
  });

  test('two spellings of one setting: the later counts, with a warning', () => {
    const { config, warnings } = yaml('lbPort: 1\nloadBalancerPort: 2\n');
    assert.equal(config.loadBalancerPort, 2);
    assert.deepEqual(warnings, [
      'file c.YAML: lbPort and loadBalancerPort are the same setting; loadBalancerPort counts',
    ]);
  });

  test('an alias bomb, a huge file and odd keys do no harm', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
    assert.match(yaml(bomb).problems[0]?.problem ?? '', /failed to parse as YAML: Excessive alias count/);
    assert.match(yaml('x'.repeat(2_000_000)).problems[0]?.problem ?? '', /has 2000000 characters/);
    const json = read({
      argv: ['--config-file=c.json'],
      files: { 'c.json': '{"__proto__":{"port":1},"constructor":2}' },
    });
    assert.equal(json.config.port, 6443);
    assert.equal(json.warnings.length, 2);
  });
});

test('the example in the documents is a configuration that passes, without a warning but for the node name', () => {
  const content = readFileSync(
    resolve(import.meta.dirname, '../../../docs/reference/kube-vip.example.yaml'),
    'utf8',
  );
  const { config, warnings } = load({
    argv: ['--config-file=e.yaml'],
    env: { vip_nodename: 'n' },
    files: { 'e.yaml': content },
  });
  assert.deepEqual(warnings, []);
  assert.equal(config.enableArp, true);
  assert.equal(config.controlPlaneHealthCheckCaPath, '/etc/kubernetes/pki/ca.crt');
});
