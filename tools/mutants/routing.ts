import type { Mutant } from './mutant.ts';

const cluster = 'test/cluster/control-plane/routing-table.test.ts';
const services = 'test/cluster/services/routes.test.ts';
const unitServices = 'test/unit/services/routes.test.ts';
const unitRoutes = 'test/unit/node/routes.test.ts';
const operator = 'src/control-plane/routing-table.ts';
const wiring = 'src/manager/routing-table.ts';
const reconciler = 'src/node/route/reconciler.ts';
const form = 'src/node/route/form.ts';
const servicesJudge = 'src/services/judge.ts';

/** Routing-table mode of the control plane, and of Services. */
export const routingMutants: readonly Mutant[] = [
  {
    line: 'CP-171',
    file: wiring,
    from: 'if (now.length > 0) balancer?.activate();',
    to: 'if (now.length > 99) balancer?.activate();',
    test: cluster,
  },
  {
    line: 'CP-188',
    file: operator,
    from: "return [address, { kind: 'route', vip, link, turn: this.turns.get(family) ?? 0 }];",
    to: 'return [address];',
    test: cluster,
  },
  {
    line: 'CP-188',
    file: operator,
    from: 'if (!this.isHealthy(family)) return [];',
    to: '',
    test: cluster,
  },
  {
    line: 'CP-189',
    file: operator,
    from: 'wasHealthy ? (this.turns.get(family) ?? 0) + 1 : 0',
    to: 'wasHealthy ? 1 : 0',
    test: cluster,
  },
  {
    line: 'CP-190',
    file: wiring,
    from: 'table: table || RT_TABLE_MAIN, protocol,',
    to: 'table: 198, protocol,',
    test: cluster,
  },
  {
    line: 'CP-190',
    file: form,
    from: "if (type !== RTN_LOCAL) return 'global';",
    to: "if (type > 0) return 'global';",
    test: cluster,
  },
  {
    line: 'CP-191',
    file: wiring,
    from: 'const removed = node.sweepRoutes(() => true).length;',
    to: 'const removed = 0;',
    test: cluster,
  },
  {
    line: 'CP-191',
    file: reconciler,
    from: '(route) => !isWanted(route) && filter(route)',
    to: '(route) => filter(route) || isWanted(route)',
    test: cluster,
  },
  {
    line: 'CP-192',
    file: wiring,
    from: "config.kubernetesAddr.includes('://')",
    to: "config.kubernetesAddr.includes(':///')",
    test: cluster,
  },
  {
    line: 'CP-193',
    file: operator,
    from: 'while (!signal.aborted) {',
    to: 'for (let checks = 0; checks < 1 && !signal.aborted; checks++) {',
    test: cluster,
  },
  {
    line: 'CP-194',
    file: operator,
    from: 'return [...new Set(this.options.vips.map(({ vip }) => familyOf(vip)))];',
    to: 'return [4];',
    test: cluster,
  },
  {
    line: 'RT-01',
    file: form,
    from: '    ...form,\n    scope',
    to: '    ...form,\n    protocol: 4,\n    scope',
    test: services,
  },
  {
    line: 'RT-02',
    file: 'src/manager/services-options.ts',
    from: "return enableRoutingTable ? 'route' : 'layer2';",
    to: "return 'layer2';",
    test: services,
  },
  {
    line: 'RT-03',
    file: 'src/manager/mode.ts',
    from: 'return !config.enableRoutingTable || config.enableLeaderElection;',
    to: 'return true;',
    test: services,
  },
  {
    line: 'RT-03',
    file: servicesJudge,
    from: 'if (served?.has(familyOf(vip)) === false) {',
    to: 'if (served?.size === 0) {',
    test: unitServices,
  },
  {
    line: 'RT-04',
    file: 'src/manager/mode.ts',
    from: 'return !config.enableRoutingTable || config.enableLeaderElection;',
    to: 'return !config.enableRoutingTable;',
    test: services,
  },
  {
    line: 'RT-05',
    file: reconciler,
    from: "const mayPass = error.kind === 'retry' || error.kind === 'gone';",
    to: 'const mayPass = false;',
    test: unitRoutes,
  },
  {
    line: 'RT-06',
    file: form,
    from: 'usualProtocols.includes(observed.protocol) &&',
    to: 'observed.protocol === 99 &&',
    test: unitRoutes,
  },
  {
    line: 'RT-07',
    file: wiring,
    from: 'const removed = node.sweepRoutes(() => true).length;',
    to: 'const removed = 0;',
    test: services,
  },
  {
    line: 'RT-08',
    file: 'src/node/route/plan.ts',
    from: "return plan({ kind: 'unwanted' }, { remove: placed });",
    to: "return plan({ kind: 'unwanted' }, {});",
    test: services,
  },
];
