import type { Mutant } from './mutant.ts';

const processTest = 'test/cluster/control-plane/process.test.ts';
const label = 'test/unit/control-plane/node-label.test.ts';
const http = 'test/unit/observe/http.test.ts';
const serviceMetrics = 'test/unit/services/metrics.test.ts';
const serviceNews = 'src/manager/services-news.ts';

/** Labels, HTTP and logs, CP-200 to CP-207, OBS-03 and OBS-04. */
export const observationMutants: readonly Mutant[] = [
  {
    line: 'CP-200',
    file: 'src/manager/control-plane.ts',
    from: 'label?.set(isHeld && first !== undefined ? labelValue(first.vip) : null);',
    to: 'if (isHeld && first !== undefined) label?.set(labelValue(first.vip));',
    test: processTest,
  },
  {
    line: 'CP-201',
    file: 'src/control-plane/node-label.ts',
    from: 'if (familyOf(vip) === 4) return vip;',
    to: 'return vip;',
    test: label,
  },
  {
    line: 'CP-202',
    file: 'src/control-plane/node-label.ts',
    from: 'this.working ??= this.work()',
    to: 'this.working = this.work()',
    test: label,
  },
  {
    line: 'CP-203',
    file: 'src/manager/listeners.ts',
    from: 'openStatusListener({ address: config.prometheusHttpServer,',
    to: "openStatusListener({ address: ':2112',",
    test: processTest,
  },
  {
    line: 'CP-204',
    file: 'src/observe/metrics.ts',
    from: "'kube_vip_build_info'",
    to: "'kube_vip_build'",
    test: 'test/unit/observe/metrics.test.ts',
  },
  {
    line: 'CP-204',
    file: 'src/observe/metrics.ts',
    from: "'kube_vip_is_leader'",
    to: "'kube_vip_leads'",
    test: processTest,
  },
  {
    line: 'CP-205',
    file: 'src/observe/http-listener.ts',
    from: "server.on('error', (error) => {",
    to: "server.on('errors', (error) => {",
    test: http,
  },
  {
    line: 'CP-205',
    file: 'src/observe/http-listener.ts',
    from: "server.on('error', (error) => {",
    to: "server.on('errors', (error) => {",
    test: processTest,
  },
  {
    line: 'CP-206',
    file: 'src/observe/http.ts',
    from: "path === '/healthz' ? plainReply(200, 'OK')",
    to: "path === '/health' ? plainReply(200, 'OK')",
    test: http,
  },
  {
    line: 'CP-206',
    file: 'src/observe/http.ts',
    from: 'if (port === 0) return undefined;',
    to: 'return undefined;',
    test: processTest,
  },
  {
    line: 'CP-207',
    file: 'src/observe/log.ts',
    from: 'if (!wanted) return;',
    to: '',
    test: 'test/unit/observe/log.test.ts',
  },
  {
    line: 'CP-207',
    file: 'src/manager/run.ts',
    from: 'level: config.logging,',
    to: 'level: 0,',
    test: processTest,
  },
  {
    line: 'OBS-03',
    file: 'src/observe/dump.ts',
    from: 'advertised.map(',
    to: 'advertised.slice(0, 1).map(',
    test: 'test/cluster/bgp/services.test.ts',
  },
  {
    line: 'OBS-04',
    file: 'src/services/handling.ts',
    from: "catalogue.get(key) === undefined ? 'delete_service' : 'service_context'",
    to: "'service_context'",
    test: serviceMetrics,
  },
  {
    line: 'OBS-04',
    file: serviceNews,
    from: '      elections.lost(lease);\n',
    to: '',
    test: serviceMetrics,
  },
  {
    line: 'OBS-04',
    file: 'src/services/judge.ts',
    from: "reason === 'no-link' || reason === 'address-in-use' ? 'new_instance' : undefined",
    to: 'undefined',
    test: serviceMetrics,
  },
];
