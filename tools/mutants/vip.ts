import type { Mutant } from './mutant.ts';

const processTest = 'test/cluster/control-plane/process.test.ts';
const tenure = 'test/cluster/control-plane/tenure.test.ts';
const trouble = 'test/cluster/control-plane/trouble.test.ts';
const addresses = 'test/lab/node/addresses.test.ts';
const announcements = 'test/lab/node/announcements.test.ts';
const unitAnnouncements = 'test/unit/node/announcements.test.ts';
const operatorTest = 'test/unit/control-plane/operator.test.ts';
const plan = 'src/node/address/plan.ts';
const frames = 'src/node/announce/frames.ts';
const operator = 'src/control-plane/operator.ts';

/** The VIP on the link, its announcement, preservation and signals, CP-90 to CP-131. */
export const vipMutants: readonly Mutant[] = [
  {
    line: 'CP-90',
    file: plan,
    from: 'preferredLifetime: 0,',
    to: 'preferredLifetime: wanted.validLifetime,',
    test: processTest,
  },
  {
    line: 'CP-91',
    file: plan,
    from: 'broadcast: broadcastOf(vip, prefixLength),',
    to: 'broadcast: undefined,',
    test: processTest,
  },
  {
    line: 'CP-92',
    file: 'src/manager/control-plane.ts',
    from: "link === 'lo' && !config.loInterfaceGlobalScope ? 'host' : 'global'",
    to: "'global'",
    test: processTest,
  },
  {
    line: 'CP-93',
    file: plan,
    from: 'noDad: noDad && familyOf(vip) === 6,',
    to: 'noDad: familyOf(vip) === 6,',
    test: addresses,
  },
  {
    line: 'CP-94',
    file: plan,
    from: 'const noDad = wanted.noDad || target.dadFailed ||',
    to: 'const noDad = wanted.noDad ||',
    test: addresses,
  },
  {
    line: 'CP-95',
    file: 'src/config/validate.ts',
    from: 'parseVips(vipText(config), config.vipSubnet).vips;',
    to: 'parseVips(vipText(config), config.vipSubnet).vips.slice(0, 1);',
    test: processTest,
  },
  {
    line: 'CP-96',
    file: 'src/node/address/reconciler.ts',
    from: "if (change === 'gone') for (const record of records) dropPlaced(record, address);",
    to: "if (change === 'gone') return;",
    test: tenure,
  },
  {
    line: 'CP-97',
    file: operator,
    from: "if (holder !== '') this.settleLeftovers(`the lease names ${holder}`);",
    to: 'this.leftovers?.cancel();',
    test: tenure,
  },
  {
    line: 'CP-98',
    file: plan,
    from: 'return isLeft(target) ||',
    to: 'return true || isLeft(target) ||',
    test: addresses,
  },
  {
    line: 'CP-99',
    file: plan,
    from: 'preferredLifetime: 0,',
    to: 'preferredLifetime: wanted.validLifetime,',
    test: addresses,
  },
  {
    line: 'CP-100',
    file: 'src/config/validate.ts',
    from: '  vipList,\n',
    to: '',
    test: 'test/unit/config/rules.test.ts',
  },
  {
    line: 'CP-110',
    file: 'src/protocols/announce/machine.ts',
    from: "const nextForm = state.nextForm === 'reply' ? 'request' : 'reply';",
    to: "const nextForm = 'reply';",
    test: announcements,
  },
  {
    line: 'CP-111',
    file: 'src/protocols/announce/machine.ts',
    from: "burstsDone: 0, nextForm: 'reply', nextAt: now }",
    to: "burstsDone: 0, nextForm: 'reply', nextAt: now + 60_000 }",
    test: processTest,
  },
  {
    line: 'CP-112',
    file: 'src/config/normalize.ts',
    from: 'config.arpBroadcastRate = defaultArpRateMs;',
    to: '',
    test: 'test/lab/config/start.test.ts',
  },
  {
    line: 'CP-113',
    file: 'src/protocols/ndp/codec.ts',
    from: 'const hopLimit = 255;',
    to: 'const hopLimit = 64;',
    test: announcements,
  },
  {
    line: 'CP-114',
    file: frames,
    from: 'return link.hardwareType === INFINIBAND ? INFINIBAND : ETHERNET;',
    to: 'return ETHERNET;',
    test: unitAnnouncements,
  },
  {
    line: 'CP-115',
    file: frames,
    from: 'if (isIpv6 && isLinkLocal(vip)) {',
    to: 'if (isIpv6 && !isIpv6 && isLinkLocal(vip)) {',
    test: unitAnnouncements,
  },
  {
    line: 'CP-116',
    file: 'src/node/announce/announcements.ts',
    from: 'this.byKey.delete(entry.key);',
    to: '',
    test: announcements,
  },
  {
    line: 'CP-117',
    file: 'src/protocols/announce/machine.ts',
    from: "burstsDone: 0, nextForm: 'reply', nextAt: now }",
    to: "burstsDone: 0, nextForm: 'reply', nextAt: now + 60_000 }",
    test: announcements,
  },
  {
    line: 'CP-120',
    file: operator,
    from: 'if (this.options.preserve) {\n      this.preserving = true;',
    to: 'if (false) {\n      this.preserving = true;',
    test: operatorTest,
  },
  {
    line: 'CP-120',
    file: operator,
    from: 'if (this.options.preserve) {\n      this.preserving = true;',
    to: 'if (false) {\n      this.preserving = true;',
    test: trouble,
  },
  {
    line: 'CP-121',
    file: operator,
    from: "if (this.preserving && holder !== '') {",
    to: 'if (false) {',
    test: operatorTest,
  },
  {
    line: 'CP-121',
    file: operator,
    from: "if (this.preserving && holder !== '') {",
    to: 'if (false) {',
    test: trouble,
  },
  {
    line: 'CP-122',
    file: 'src/control-plane/specs.ts',
    from: 'familyOf(vip) === 4',
    to: 'true',
    test: operatorTest,
  },
  {
    line: 'CP-123',
    file: operator,
    from: 'if (this.options.preserve) return;\n    this.leftovers',
    to: 'this.leftovers',
    test: operatorTest,
  },
  {
    line: 'CP-124',
    file: 'src/manager/control-plane.ts',
    from: 'return config.loseLeadership ?',
    to: 'return !config.loseLeadership ?',
    test: trouble,
  },
  {
    line: 'CP-125',
    file: 'src/control-plane/link-gate.ts',
    from: "link.operState === 'up' ||",
    to: "link.operState === 'up' || link.adminUp ||",
    test: trouble,
  },
  { line: 'CP-126', file: 'src/manager/signals.ts', from: 'controller.abort();', to: '', test: processTest },
  {
    line: 'CP-128',
    file: 'src/observe/http-listener.ts',
    from: 'clearTimeout(timer);\n      resolve();',
    to: 'clearTimeout(timer);',
    test: processTest,
  },
  {
    line: 'CP-129',
    file: 'src/manager/signals.ts',
    from: "process.on('SIGUSR1', handlers.dump);",
    to: "process.once('SIGUSR1', handlers.dump);",
    test: processTest,
  },
  {
    line: 'CP-131',
    file: operator,
    from: 'if (this.preserving && signal.aborted) await this.outlast(over.signal);',
    to: '',
    test: operatorTest,
  },
  {
    line: 'CP-131',
    file: operator,
    from: "if (this.preserving && signal.aborted) await this.outlast(over.signal);\n    budget?.cancel();\n    this.parts.node.withdraw('control-plane');\n    this.parts.sweep();",
    to: '',
    test: trouble,
  },
];
