import type { Mutant } from './mutant.ts';

const open = 'test/unit/kube/open-client.test.ts';
const select = 'src/kube/select-client.ts';
const bootstrap = 'test/cluster/control-plane/bootstrap.test.ts';
const processTest = 'test/cluster/control-plane/process.test.ts';
const tenure = 'test/cluster/control-plane/tenure.test.ts';
const holding = 'src/election/machine/holding.ts';

/** Client, bootstrap and election, CP-60 to CP-87. */
export const electionMutants: readonly Mutant[] = [
  {
    line: 'CP-60',
    file: select,
    from: "if (rule.rule === 'local') return { server: localServer(rule.port), replacedVip: false };",
    to: "if (rule.rule === 'local') return { server: fileServer, replacedVip: false };",
    test: open,
  },
  {
    line: 'CP-61',
    file: select,
    from: "return inputs.kubernetesAddr === '' ? otherwise :",
    to: 'return inputs.kubernetesAddr.length >= 0 ? otherwise :',
    test: open,
  },
  {
    line: 'CP-62',
    file: select,
    from: "server: overrideOr({ rule: 'file' }, inputs) };",
    to: "server: overrideOr({ rule: 'local', port: inputs.port }, inputs) };",
    test: open,
  },
  {
    line: 'CP-63',
    file: 'src/kube/open-client.ts',
    from: 'readInCluster(inputs.environment, mount, read)',
    to: "readInCluster({ serviceHost: '', servicePort: '' }, mount, read)",
    test: open,
  },
  {
    line: 'CP-64',
    file: 'src/kube/detect.ts',
    from: 'if (await probes.answers(address)) return address;',
    to: 'return address;',
    test: open,
  },
  {
    line: 'CP-65',
    file: 'src/election/machine/following.ts',
    from: "if (error === 'timeout' && isFree(d, seen)) d.arm('poll', d.random * spreadMs);\n  else armPoll(d, seen);",
    to: 'd.now;',
    test: bootstrap,
  },
  {
    line: 'CP-66',
    file: 'src/election/machine/following.ts',
    from: 'pollAfter(d, phase.seen, outcome.error);\n  return outcome.error;',
    to: "if (outcome.error !== 'forbidden') pollAfter(d, phase.seen, outcome.error);\n  return outcome.error;",
    test: bootstrap,
  },
  {
    line: 'CP-67',
    file: 'src/election/machine/following.ts',
    from: "if (error === 'conflict' || error === 'already-exists') {",
    to: "if (error === 'already-exists') becomeHolder(d, { record: { holderIdentity: d.settings.identity, leaseDurationSeconds: 5, acquireTime: undefined, renewTime: undefined, leaseTransitions: 0 }, version: '1', annotations: {}, raw: {} }, d.now);\n  else if (error === 'conflict') {",
    test: bootstrap,
  },
  {
    line: 'CP-68',
    file: select,
    from: "if (!inputs.controlPlane) return { rule: 'file' };",
    to: '',
    test: open,
  },
  {
    line: 'CP-70',
    file: 'src/election/machine/observation.ts',
    from: 'return renewedJustBefore(lease, settings, at);\n}\n\nfunction isHeldByOther',
    to: 'return now;\n}\n\nfunction isHeldByOther',
    test: tenure,
  },
  {
    line: 'CP-71',
    file: 'src/election/record.ts',
    from: "const millis = new Date((micros - rest) / 1000).toISOString().slice(0, -1);\n  return `${millis}${String(rest).padStart(3, '0')}Z`;",
    to: 'return String((micros - rest) / 1000);',
    test: 'test/cluster/election/client-go.test.ts',
  },
  {
    line: 'CP-72',
    file: 'src/election/location.ts',
    from: 'if (slash > 0) {',
    to: 'if (slash > 999) {',
    test: processTest,
  },
  {
    line: 'CP-73',
    file: 'src/election/location.ts',
    from: "if (mounted !== undefined && mounted !== '') return { namespace: mounted, name };",
    to: '',
    test: 'test/unit/election/location.test.ts',
  },
  {
    line: 'CP-74',
    file: 'src/manager/election.ts',
    from: 'if (warning !== undefined) log.warn(warning);',
    to: '',
    test: processTest,
  },
  {
    line: 'CP-75',
    file: 'src/election/machine/following.ts',
    from: 'Math.max(seen.freeAt - d.now, ',
    to: 'Math.max(86_400_000, ',
    test: tenure,
  },
  {
    line: 'CP-76',
    file: 'src/election/machine/releasing.ts',
    from: 'if (lease === undefined) d.read();\n  else d.sendRelease(lease);',
    to: 'void [d, lease];',
    test: tenure,
  },
  { line: 'CP-77', file: holding, from: "d.lose('taken');", to: '', test: tenure },
  {
    line: 'CP-78',
    file: holding,
    from: "if (!phase.recreating) return giveUp(d, phase, 'renew-deadline', { then: 'campaign' });",
    to: "if (!phase.recreating) return 'stale-timer';",
    test: tenure,
  },
  {
    line: 'CP-79',
    file: 'src/manager/election.ts',
    from: '{ ...location, annotations: config.leaseAnnotations }',
    to: 'location',
    test: processTest,
  },
  {
    line: 'CP-80',
    file: 'src/election/pool.ts',
    from: 'const existing = shared.get(key) ?? new',
    to: 'const existing = new',
    test: 'test/unit/election/pool.test.ts',
  },
  {
    line: 'CP-81',
    file: 'src/manager/control-plane.ts',
    from: 'await plane.run(signal);',
    to: 'if (config.enableLeaderElection) await plane.run(signal);',
    test: tenure,
  },
  {
    line: 'CP-87',
    file: 'src/manager/run.ts',
    from: 'if (unwanted && config.exitOnLeaseLoss)',
    to: 'if (unwanted && !config.exitOnLeaseLoss && false)',
    test: processTest,
  },
];
