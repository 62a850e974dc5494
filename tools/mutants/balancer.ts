import type { Mutant } from './mutant.ts';

const apiServers = 'test/cluster/balancer/api-servers.test.ts';

/** Control-plane balancing, CP-160 to CP-172. */
export const balancerMutants: readonly Mutant[] = [
  {
    line: 'CP-161',
    file: 'src/control-plane/balancer/discovery.ts',
    from: "type === 'Ready' && status === 'True'",
    to: "type === 'Ready' && status !== ''",
    test: 'test/unit/control-plane/balancer.test.ts',
  },
  {
    line: 'CP-162',
    file: 'src/config/codecs.ts',
    from: 'const word = text.toLowerCase();\n      const value = words.find',
    to: 'const word = text;\n      const value = words.find',
    test: 'test/unit/config/load.test.ts',
  },
  {
    line: 'CP-164',
    file: 'src/manager/balancer.ts',
    from: "campaign.election.resign('the local API server is dead', pauseMs);",
    to: '',
    test: apiServers,
  },
  {
    line: 'CP-165',
    file: 'src/control-plane/balancer/discovery.ts',
    from: ' || familyOf(address) !== family',
    to: '',
    test: 'test/unit/control-plane/pool.test.ts',
  },
  {
    line: 'CP-168',
    file: 'src/manager/forwarding.ts',
    from: "if ('refused' in choice) throw new StartError(`lb_enable: ${choice.refused}`);",
    to: "if ('refused' in choice) throw new StartError('lb_enable');",
    test: 'test/cluster/control-plane/process.test.ts',
  },
  {
    line: 'CP-170',
    file: 'src/kube/backend-probe.ts',
    from: 'const { server, ca, cert, key, token, isInsecure } = await credentials.current();',
    to: 'const { server, ca, isInsecure } = await credentials.current();\n    const [cert, key, token] = [undefined, undefined, undefined];',
    test: apiServers,
  },
  {
    line: 'CP-172',
    file: 'src/config/normalize.ts',
    from: 'if (config.backendHealthCheckInterval <= 0) config.backendHealthCheckInterval = defaultBackendCheckSeconds;',
    to: '',
    test: 'test/unit/manager/balancer.test.ts',
  },
];
