import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';

const main = resolve(import.meta.dirname, '../../../src/main.ts');

/** Spares each start the compiler, where the runner says so. */
const { NODE_COMPILE_CACHE } = process.env;
const cache = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** The program as a user starts it, with nothing else than these variables in its environment. */
function kubeVip(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...argv], {
    env: { ...cache, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('output that cannot be written is an error; all of it is written before the end, however slow the reader', () => {
  const shell = (script: string) =>
    spawnSync('sh', ['-c', script, 'sh', process.execPath, main], { env: cache, encoding: 'utf8' });
  const full = shell('"$1" "$2" manifest rbac > /dev/full');
  assert.equal(full.status, 1);
  assert.match(full.stderr, /^Error: the output cannot be written: .*no space left on device/i);
  // Many times what a pipe holds.
  const slow = shell(
    `"$1" "$2" manifest pod --arp --controlplane --address 192.0.2.1 --annotations "$(head -c 100000 /dev/zero | tr '\\0' a)" --bgp | (sleep 1; wc -c)`,
  );
  assert.ok(Number(slow.stdout) > 100_000, slow.stdout);
  const early = shell('{ "$1" "$2" --help; echo "status $?" >&2; } | head -c 1');
  assert.match(early.stderr, /^status 0$/m);
});

/** A start that must fail: status 1, nothing on stdout, this on stderr. */
function refuses(
  env: Readonly<Record<string, string>>,
  expected: RegExp,
  argv: readonly string[] = [],
): void {
  const { status, stdout, stderr } = kubeVip(['manager', ...argv], env);
  assert.match(stderr, expected);
  assert.equal(stdout, '');
  assert.equal(status, 1);
}

const arp = {
  vip_arp: 'true',
  cp_enable: 'true',
  vip_interface: 'lo',
  address: '192.0.2.10',
  vip_nodename: 'n',
};

test('CP-01 version prints three lines and ends with 0', () => {
  const { status, stdout, stderr } = kubeVip(['version']);
  assert.match(stdout, /^kube-vip\nVersion: {2}\S+\nBuild: {4}\S+\n$/);
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('CP-02 without arguments the help lists the commands and ends with 0', () => {
  const { status, stdout, stderr } = kubeVip([]);
  for (const command of ['manager', 'service', 'manifest', 'kubeadm', 'sample', 'version'])
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'));
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('CP-03 an unknown flag is an error with usage', () => {
  const { status, stdout, stderr } = kubeVip(['manager', '--adress', '192.0.2.1']);
  assert.match(
    stderr,
    /^Error: unknown flag: --adress; did you mean --address\?\n\nUsage:\n {2}kube-vip manager \[flags\]\n/,
  );
  assert.equal(stdout, '');
  assert.equal(status, 1);
});

test('CP-04 an unknown command is an error with usage', () => {
  const { status, stdout, stderr } = kubeVip(['start']);
  assert.match(
    stderr,
    /^Error: unknown command "start" for "kube-vip"\n\nUsage:\n {2}kube-vip \[command\] \[flags\]\n/,
  );
  assert.equal(stdout, '');
  assert.equal(status, 1);
});

describe('a start that cannot work says why on stderr and ends with 1', () => {
  test('CP-20 SVC-40 no mode', () => {
    refuses(
      { ...arp, vip_arp: '' },
      /^Error: vip_arp: no valid kube-vip mode detected; set one of vip_arp, /,
    );
  });

  test('CP-21 SVC-40 two modes', () => {
    refuses(
      { ...arp, bgp_enable: 'true', bgp_peers: '192.0.2.1:1' },
      /^Error: env bgp_enable="true": multiple kube-vip modes detected: vip_arp, bgp_enable;/,
    );
  });

  test('CP-22 SVC-40 no feature', () => {
    refuses(
      { ...arp, cp_enable: '' },
      /^Error: cp_enable: no features are enabled; set cp_enable or svc_enable to true\n$/,
    );
  });

  test('CP-23 vip_address without vip_subnet in ARP, BGP and routing-table mode', () => {
    const message =
      /vip_subnet must be set if using vip_address instead of address environment variable; use address, or/;
    const legacy = { ...arp, address: '', vip_address: '192.0.2.10' };
    refuses(legacy, message);
    refuses({ ...legacy, vip_arp: '', bgp_enable: 'true', bgp_peers: '192.0.2.1:1' }, message);
    refuses({ ...legacy, vip_arp: '', vip_routingtable: 'true' }, message);
  });

  test('CP-25 vip_subnet=auto outside ARP, or with address', () => {
    refuses(
      { ...arp, vip_subnet: 'auto' },
      /^Error: env vip_subnet="auto": auto subnet discovery cannot be used together with a VIP address/,
    );
    const rt = { vip_routingtable: 'true', svc_enable: 'true', vip_subnet: 'auto', vip_nodename: 'n' };
    refuses(rt, /^Error: env vip_subnet="auto": auto subnet discovery only works in ARP mode/);
  });

  test('CP-30 lease timings 1/1/1', () => {
    const timings = { vip_leaseduration: '1', vip_renewdeadline: '1', vip_retryperiod: '1' };
    refuses(
      { ...arp, ...timings },
      /lease duration > renew deadline > retry period × 1.2, for example 15, 10 and 2/,
    );
  });

  test('CP-31 health_check_port=80', () => {
    refuses(
      { ...arp, health_check_port: '80' },
      /^Error: env health_check_port="80": health check port is less than 1024;/,
    );
  });

  test('CP-12 a .toml file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kube-vip-config-'));
    try {
      const path = join(folder, 'kube-vip.toml');
      writeFileSync(path, 'enableARP = true\n');
      refuses(
        arp,
        /^Error: flag --config-file=".*\.toml": unsupported config file format; use .json, .yaml or .yml\n$/,
        [`--config-file=${path}`],
      );
      refuses(arp, /config file does not exist: .*missing.yaml/, [
        `--config-file=${join(folder, 'missing.yaml')}`,
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('what is not built yet', () => {
    refuses(
      { ...arp, vip_arp: '', vip_wireguard: 'true' },
      /^not implemented yet: vip_wireguard=true \(WireGuard mode\)\n$/,
    );
  });
});
