/**
 * The import table of docs/architecture.md as data. A room is a folder below src/, or one of the
 * top folders beside it. `may` names what a room imports freely; `types` what it imports only as
 * types (an interface it was given, never a value); everything else is forbidden, for this reason.
 */
export interface Room {
  readonly may: readonly string[];
  readonly types: readonly string[];
  /** Packages and Node modules of this room; `*` is any. */
  readonly packages: readonly string[];
  readonly why: string;
}

/** Modules without side effects: no socket, no file, no process, no clock. */
const pure = [
  'node:assert',
  'node:buffer',
  'node:crypto',
  'node:events',
  'node:net',
  'node:path',
  'node:util',
  'ipaddr.js',
];

const operator: Room = {
  may: ['lib', 'protocols'],
  types: ['config', 'linux', 'kube', 'node', 'election'],
  packages: pure,
  why: 'operators get their ports handed over; they publish specs to node, ask election, and know nothing else',
};

export const rooms: Readonly<Record<string, Room>> = {
  lib: {
    may: [],
    types: [],
    packages: pure,
    why: 'lib is the floor: pure, and used by everybody',
  },
  protocols: {
    may: ['lib'],
    types: [],
    packages: pure,
    why: 'codecs and machines are pure: no I/O, no clock, no log',
  },
  linux: {
    may: ['lib', 'protocols'],
    types: [],
    packages: ['node:*', 'koffi'],
    why: 'the kernel room knows the kernel and nothing of what is done with it',
  },
  kube: {
    may: ['lib', 'protocols'],
    types: [],
    packages: ['node:*', 'yaml'],
    why: 'the API room knows the API server and nothing of what is done with it',
  },
  config: {
    may: ['lib'],
    types: [],
    packages: [...pure, 'yaml'],
    why: 'configuration is a function of values: environment and file contents are handed over',
  },
  election: { ...operator, types: ['config', 'linux', 'kube'] },
  node: {
    may: ['lib', 'protocols'],
    types: ['config', 'linux', 'kube'],
    packages: [...pure, 'node:dgram', 'node:http'],
    why: 'the node makes specs true through the kernel port; it does not know who asked',
  },
  'control-plane': operator,
  services: operator,
  ipam: operator,
  observe: {
    may: ['lib'],
    types: ['config'],
    packages: ['node:*'],
    why: 'observers are handed snapshots; they reach into nothing',
  },
  manager: {
    may: [
      'lib',
      'protocols',
      'linux',
      'kube',
      'config',
      'election',
      'node',
      'control-plane',
      'services',
      'ipam',
      'observe',
    ],
    types: [],
    packages: ['node:*'],
    why: 'the composition root builds what the command line asks for; it does not know the command line',
  },
  cli: {
    may: ['manager', 'config', 'lib', 'lab'],
    types: [],
    packages: ['node:*', 'yaml'],
    why: 'the command line parses, prints and starts the manager',
  },
  main: {
    may: ['cli'],
    types: [],
    packages: ['node:*'],
    why: 'main turns argv into a command; nothing else',
  },
  testing: {
    may: [
      'lib',
      'protocols',
      'config',
      'linux',
      'kube',
      'election',
      'node',
      'control-plane',
      'services',
      'ipam',
    ],
    types: [],
    packages: ['*'],
    why: 'fakes imitate the rooms below the manager',
  },
  lab: {
    may: ['lib', 'linux', 'kube', 'testing'],
    types: [],
    packages: ['*'],
    why: 'the lab builds networks around the program; it runs the program, it does not import it',
  },
  test: { may: ['*'], types: [], packages: ['*'], why: '' },
  bench: {
    may: ['*'],
    types: [],
    packages: ['*'],
    why: '',
  },
  tools: {
    may: ['lib', 'config', 'observe', 'lab'],
    types: [],
    packages: ['*'],
    why: 'tools build and check the program; they use its declarations only',
  },
};

/** The files of a room that others may import. `types.ts` and `errors.ts` are the interface without the machinery. */
export const publicFiles = ['index.ts', 'types.ts', 'errors.ts'];

/** Rooms whose every file is public: small things used everywhere. */
export const openRooms = ['lib', 'testing', 'lab', 'tools'];

/** Rooms that may look inside the others: tests, and fakes, which share the pure parts of what they imitate. */
export const insiders = ['test', 'testing'];
