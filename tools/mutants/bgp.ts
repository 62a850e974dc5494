import type { Mutant } from './mutant.ts';

const unit = 'test/unit/control-plane/bgp.test.ts';
const settings = 'test/unit/control-plane/bgp-settings.test.ts';
const speaker = 'test/unit/node/speaker.test.ts';
const advertisements = 'test/unit/node/advertisements.test.ts';
const routesTest = 'test/unit/protocols/bgp-routes.test.ts';
const session = 'test/unit/protocols/bgp-session.test.ts';
const cluster = 'test/cluster/bgp/control-plane.test.ts';
const health = 'test/cluster/bgp/health.test.ts';
const waiting = 'test/cluster/bgp/annotations.test.ts';
const services = 'test/cluster/bgp/services.test.ts';

const plane = 'src/control-plane/bgp.ts';
const specs = 'src/control-plane/specs.ts';
const annotations = 'src/control-plane/bgp-annotations.ts';
const peers = 'src/control-plane/bgp-peers.ts';
const wiring = 'src/manager/bgp.ts';
const peer = 'src/node/advertisement/peer.ts';
const bfd = 'test/unit/node/bfd.test.ts';
const routes = 'src/protocols/bgp/routes.ts';

/** BGP mode of the control plane, its sessions, and Services in it. */
export const bgpMutants: readonly Mutant[] = [
  {
    line: 'CP-82',
    file: specs,
    from: "if (options.reach === 'bgp')",
    to: 'if (options.vips.length === 0)',
    test: cluster,
  },
  { line: 'CP-127', file: plane, from: 'await endSessions();', to: '', test: unit },
  {
    line: 'CP-130',
    file: wiring,
    from: 'AbortSignal.any([signal, enough.signal])',
    to: 'enough.signal',
    test: waiting,
  },
  {
    line: 'CP-180',
    file: specs,
    from: "...(isHealthy ? [{ kind: 'advertisement', vip: each.vip, link: options.link } as const] : []),",
    to: '',
    test: cluster,
  },
  {
    line: 'CP-181',
    file: 'src/control-plane/health-gate.ts',
    from: 'options.startsClosed === true ? closedGate : openGate',
    to: 'openGate',
    test: unit,
  },
  { line: 'CP-181', file: wiring, from: 'check === undefined,', to: 'true,', test: health },
  {
    line: 'CP-182',
    file: 'src/control-plane/health-gate.ts',
    from: 'state.closed || failures >= threshold',
    to: 'state.closed || failures >= threshold + 1',
    test: unit,
  },
  { line: 'CP-182', file: wiring, from: 'plane.setHealthy(false, why);', to: '', test: health },
  {
    line: 'CP-183',
    file: peer,
    from: 'this.tell(effect.negotiated, this.parts.view.all());',
    to: '',
    test: speaker,
  },
  {
    line: 'CP-184',
    file: plane,
    from: 'this.isHealthy = false;\n      this.publish();',
    to: '',
    test: unit,
  },
  {
    line: 'CP-185',
    file: 'src/kube/health-probe.ts',
    from: '[...rootCertificates, readCa(caPath)]',
    to: '[...rootCertificates]',
    test: health,
  },
  {
    line: 'CP-186',
    file: annotations,
    from: ' ?? annotations[`${prefix}/bgp-peers-0-${key}`]',
    to: '',
    test: settings,
  },
  {
    line: 'CP-186',
    file: peers,
    from: 'annotations === undefined ? peers : annotatedPeers(annotations)',
    to: 'peers',
    test: settings,
  },
  {
    line: 'CP-187',
    file: annotations,
    from: "if (of(key) === '') return unusable(key, 'is missing');",
    to: ';',
    test: settings,
  },
  { line: 'BGP-02', file: peers, from: 'port: peer.port,', to: 'port: 179,', test: settings },
  {
    line: 'BGP-05',
    file: 'src/protocols/bgp/open.ts',
    from: 'config.localAs > 0xffff ? AS_TRANS : config.localAs',
    to: 'config.localAs & 0xffff',
    test: session,
  },
  {
    line: 'BGP-06',
    file: peers,
    from: 'ifindex === index && !deprecated',
    to: 'ifindex === index',
    test: settings,
  },
  {
    line: 'BGP-07',
    file: peers,
    from: 'const CONNECT_RETRY = 10;',
    to: 'const CONNECT_RETRY = 60;',
    test: settings,
  },
  {
    line: 'BGP-08',
    file: peers,
    from: 'peer.multiHop ? MULTIHOP_TTL : isExternal ? 1 : undefined',
    to: 'undefined',
    test: settings,
  },
  {
    line: 'BGP-09',
    file: routes,
    from: 'if (negotiated.peerAs === localAs)',
    to: 'if (negotiated.peerAs === -1)',
    test: routesTest,
  },
  {
    line: 'BGP-10',
    file: 'src/node/advertisement/advertisements.ts',
    from: "return isMissing ? 'its address' : undefined;",
    to: 'return undefined;',
    test: advertisements,
  },
  {
    line: 'BGP-11',
    file: peer,
    from: 'const view = this.isLeaving ? nothing : this.parts.view;',
    to: 'const { view } = this.parts;',
    test: speaker,
  },
  {
    line: 'BGP-15',
    file: 'src/node/advertisement/advertisements.ts',
    from: 'return [...(this.keysOf.get(address) ?? [])].some((key) => this.obstacle(key) === undefined);',
    to: 'return [...(this.keysOf.get(address) ?? [])].every((key) => this.obstacle(key) === undefined);',
    test: services,
  },
  { line: 'BGP-16', file: peers, from: "own === '' ? common : own", to: 'common', test: settings },
  {
    line: 'BGP-17',
    file: peers,
    from: "case 'auto_sourceip': {",
    to: "case 'auto_sourceip_': {",
    test: settings,
  },
  {
    line: 'BGP-18',
    file: peers,
    from: "case 'auto_sourceif': {",
    to: "case 'auto_sourceif_': {",
    test: settings,
  },
  {
    line: 'BGP-19',
    file: peers,
    from: 'warnings.push(`peer ${address}: ${hops.problem}; speaking plain BGP of one family with it`);',
    to: ';',
    test: settings,
  },
  {
    line: 'BGP-25',
    file: peers,
    from: "device: config.bgpSourceIf === '' ? undefined : config.bgpSourceIf,",
    to: 'device: undefined,',
    test: settings,
  },
  {
    line: 'BGP-26',
    file: peer,
    from: "if (before.kind === 'established') this.rib.clear();",
    to: '',
    test: speaker,
  },
  { line: 'BGP-21', file: peer, from: "this.dispatch({ kind: 'pathLost', why });", to: '', test: bfd },
  {
    line: 'BGP-21',
    file: 'src/protocols/bfd/machine.ts',
    from: 'desiredMinTxMs(state, config) * 1000',
    to: 'desiredMinTxMs(state, config)',
    test: bfd,
  },
  { line: 'BGP-21', file: peers, from: '...planBfd(peer, warnings),', to: '', test: settings },
  {
    line: 'BGP-21',
    file: 'src/linux/udp.ts',
    from: 'options.isDirect ? fromNeighbour(isIpv4) : hearAll',
    to: 'hearAll',
    test: 'test/lab/bgp/bfd.test.ts',
  },
];
