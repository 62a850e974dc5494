import type {
  NftChain,
  NftElement,
  NftFamily,
  NftSet,
  NftStep,
  NftTable,
  NftType,
  ObservedChain,
  ObservedSet,
  ObservedTable,
} from '../../../linux/index.ts';

/** The steps, in an order the kernel accepts as one batch, from what is there to what should be. Pure. */
export function planTables(
  desired: readonly NftTable[],
  observed: readonly ObservedTable[],
): readonly NftStep[] {
  const gone = observed.filter(({ family }) => !desired.some((table) => table.family === family));
  return [
    ...desired.flatMap((table) => {
      const found = observed.find(({ family }) => family === table.family);
      return found === undefined ? build(table) : change(table, found);
    }),
    ...gone.map(({ family, name }): NftStep => ({ do: 'delete table', family, table: name })),
  ];
}

/** What the kernel says once the steps are done. */
export function observedOf(desired: readonly NftTable[]): readonly ObservedTable[] {
  return desired.map(({ family, name, chains, sets }) => ({
    family,
    name,
    dormant: false,
    chains: chains.map((chain) => ({
      name: chain.name,
      ...(chain.base === undefined ? {} : { base: chain.base }),
      rules: chain.rules.map(({ comment }) => comment),
    })),
    sets: sets.map((set) => ({
      name: set.name,
      keyLength: lengthOf(set.keyType),
      dataLength: dataLengthOf(set),
      dynamic: set.dynamic !== undefined,
      elements: set.elements,
    })),
  }));
}

function build(table: NftTable): readonly NftStep[] {
  return [
    { do: 'add table', family: table.family, table: table.name },
    ...change(table, { family: table.family, name: table.name, dormant: false, chains: [], sets: [] }),
  ];
}

function change(desired: NftTable, observed: ObservedTable): readonly NftStep[] {
  const where = { family: desired.family, table: desired.name };
  if (mustStartOver(desired, observed)) {
    return [{ do: 'delete table', ...where }, ...build(desired)];
  }
  const chainsOf = new Map(observed.chains.map((chain) => [chain.name, chain]));
  const setsOf = new Map(observed.sets.map((set) => [set.name, set]));
  const isNew = (chain: NftChain): boolean => !chainsOf.has(chain.name);
  const changedRules = desired.chains.filter((chain) => !sameRules(chain, chainsOf.get(chain.name)));
  const wantedChains = new Set(desired.chains.map(({ name }) => name));
  const extraChains = observed.chains.filter(({ name }) => !wantedChains.has(name));
  const extraSets = observed.sets.filter(({ name }) => !desired.sets.some((set) => set.name === name));
  const elements = desired.sets.map((set) => ({ set, ...elementChanges(set, setsOf.get(set.name)) }));
  return [
    // Chains without a hook first: elements point at them, and rules at sets.
    ...desired.chains
      .filter((chain) => isNew(chain) && chain.base === undefined)
      .map((chain): NftStep => ({ do: 'add chain', ...where, chain })),
    ...desired.sets
      .filter(({ name }) => !setsOf.has(name))
      .map((set): NftStep => ({ do: 'add set', ...where, set })),
    ...elements.flatMap(({ set, removed }) => elementStep('delete elements', where, set.name, removed)),
    ...elements.flatMap(({ set, added }) =>
      setsOf.has(set.name) ? elementStep('add elements', where, set.name, added) : [],
    ),
    ...desired.chains
      .filter((chain) => isNew(chain) && chain.base !== undefined)
      .map((chain): NftStep => ({ do: 'add chain', ...where, chain })),
    ...changedRules.flatMap((chain): readonly NftStep[] => [
      ...(chainsOf.get(chain.name)?.rules.length
        ? [{ do: 'flush chain', ...where, chain: chain.name } as const]
        : []),
      ...chain.rules.map((rule) => ({ do: 'add rule', ...where, chain: chain.name, rule }) as const),
    ]),
    ...extraChains.map(({ name }): NftStep => ({ do: 'flush chain', ...where, chain: name })),
    ...extraSets.map(({ name }): NftStep => ({ do: 'delete set', ...where, set: name })),
    ...extraChains.map(({ name }): NftStep => ({ do: 'delete chain', ...where, chain: name })),
  ];
}

/** Things that cannot be changed where they are. Only another version of this program makes them differ. */
function mustStartOver(desired: NftTable, observed: ObservedTable): boolean {
  if (observed.dormant) return true;
  const sets = new Map(observed.sets.map((set) => [set.name, set]));
  const chains = new Map(observed.chains.map((chain) => [chain.name, chain]));
  return (
    desired.sets.some((set) => {
      const found = sets.get(set.name);
      return found !== undefined && !sameKind(set, found);
    }) ||
    desired.chains.some((chain) => {
      const found = chains.get(chain.name);
      return found !== undefined && !sameBase(chain, found);
    })
  );
}

function sameKind(set: NftSet, found: ObservedSet): boolean {
  return (
    found.keyLength === lengthOf(set.keyType) &&
    found.dataLength === dataLengthOf(set) &&
    found.dynamic === (set.dynamic !== undefined)
  );
}

function sameBase({ base }: NftChain, found: ObservedChain): boolean {
  const other = found.base;
  return (
    base?.type === other?.type &&
    base?.hook === other?.hook &&
    base?.priority === other?.priority &&
    base?.device === other?.device
  );
}

function sameRules(chain: NftChain, found: ObservedChain | undefined): boolean {
  const rules = found?.rules ?? [];
  return rules.length === chain.rules.length && chain.rules.every(({ comment }, i) => comment === rules[i]);
}

interface ElementChanges {
  readonly added: readonly NftElement[];
  readonly removed: readonly NftElement[];
}

/** An element with other data is removed and added: the kernel takes both in one batch. */
function elementChanges(set: NftSet, found: ObservedSet | undefined): ElementChanges {
  if (set.dynamic !== undefined) return { added: [], removed: [] };
  const there = found?.elements ?? [];
  const observed = new Map(there.map((element) => [element.key, element]));
  const desired = new Map(set.elements.map((element) => [element.key, element]));
  return {
    added: set.elements.filter((element) => !isSame(element, observed.get(element.key))),
    removed: there.filter((element) => !isSame(element, desired.get(element.key))),
  };
}

function isSame(a: NftElement, b: NftElement | undefined): boolean {
  // Mostly it is the same object: what is believed to be there was what was desired before.
  return a === b || (b !== undefined && textOf(a) === textOf(b));
}

function textOf({ data }: NftElement): string {
  return data === undefined || typeof data === 'string' ? (data ?? '') : JSON.stringify(data.verdict);
}

function elementStep(
  what: 'add elements' | 'delete elements',
  where: { readonly family: NftFamily; readonly table: string },
  set: string,
  elements: readonly NftElement[],
): readonly NftStep[] {
  return elements.length === 0 ? [] : [{ do: what, ...where, set, elements }];
}

const atomLength = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  inet_proto: 1,
  inet_service: 2,
  mark: 4,
  integer: 4,
  turn: 4,
} as const;

/** Bytes of a key as the kernel reports it: parts of a concatenation fill whole registers. */
function lengthOf(type: NftType): number {
  if (typeof type === 'string') return atomLength[type];
  return type.reduce((sum, atom) => sum + 4 * Math.ceil(atomLength[atom] / 4), 0);
}

function dataLengthOf({ dataType }: NftSet): number | 'verdict' | undefined {
  return dataType === undefined || dataType === 'verdict' ? dataType : lengthOf(dataType);
}
