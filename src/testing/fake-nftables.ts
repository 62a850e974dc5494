import { errnoOf, KernelError } from '../linux/errors.ts';
import type {
  NftElement,
  NftExpression,
  NftFamily,
  NftSet,
  NftStep,
  Nftables,
  NftWatch,
  ObservedTable,
} from '../linux/index.ts';

interface FakeChain {
  readonly base: ObservedTable['chains'][number]['base'];
  rules: { readonly comment: string; readonly expressions: readonly NftExpression[] }[];
}

interface FakeSet {
  readonly definition: NftSet;
  readonly elements: Map<string, NftElement>;
}

interface FakeTable {
  readonly chains: Map<string, FakeChain>;
  readonly sets: Map<string, FakeSet>;
}

/**
 * nf_tables in memory, as strict as the kernel about what a batch may do: nothing that is referred to
 * can be removed, nothing that is not there can be referred to, and a batch that fails changes nothing.
 */
export class FakeNftables implements Nftables {
  private tables = new Map<string, FakeTable>();
  private watchers: { readonly name: string; readonly onChange: () => void }[] = [];
  private failure: KernelError | undefined;
  private broken: number | undefined;
  private isHeard = true;
  /** How often everything was read. */
  reads = 0;
  /** Batches that were taken. */
  commits: (readonly NftStep[])[] = [];

  /** Every batch and read fails with this errno; undefined: no more. */
  failAll(errno: number | undefined): void {
    this.broken = errno;
  }

  /** The next batch, or read, fails with this errno. */
  failNext(errno: number): void {
    this.failure = new KernelError({ op: 'change nf_tables', errno });
  }

  /** Somebody else empties everything. */
  flush(): void {
    const names = [...this.tables.keys()].map((key) => key.split(' ')[1] ?? '');
    this.tables = new Map();
    for (const name of names) this.tell(name);
  }

  /** Somebody else runs these. */
  disturb(steps: readonly NftStep[]): void {
    this.run(steps);
  }

  /** `ip t: chain prerouting (nat -110): comment; comment`, one line an object, sorted. */
  show(): readonly string[] {
    const lines: string[] = [];
    for (const [table, { chains, sets }] of this.tables) {
      for (const [name, { base, rules }] of chains) {
        const hook = base === undefined ? '' : ` (${base.type} ${base.hook} ${base.priority})`;
        lines.push(`${table}: chain ${name}${hook}: ${rules.map(({ comment }) => comment).join('; ')}`);
      }
      for (const [name, { elements }] of sets) {
        const shown = [...elements.values()].map(({ key, data }) =>
          data === undefined
            ? key
            : `${key} ${typeof data === 'string' ? data : JSON.stringify(data.verdict)}`,
        );
        lines.push(`${table}: set ${name}: ${shown.sort().join(', ')}`);
      }
    }
    return lines.sort();
  }

  commit(steps: readonly NftStep[]): void {
    this.throwFailure();
    this.run(steps);
    this.commits.push(steps);
  }

  read(name: string): Promise<readonly ObservedTable[]> {
    this.reads++;
    return new Promise((resolve) => {
      this.throwFailure();
      resolve(
        [...this.tables].flatMap(([key, { chains, sets }]) => {
          const [family, table] = key.split(' ');
          if (table !== name) return [];
          return [
            {
              family: family as NftFamily,
              name,
              dormant: false,
              chains: [...chains].map(([chain, { base, rules }]) => ({
                name: chain,
                ...(base === undefined ? {} : { base }),
                rules: rules.map(({ comment }) => comment),
              })),
              sets: [...sets.values()].map(observedSet),
            },
          ];
        }),
      );
    });
  }

  elements(family: NftFamily, table: string, set: string): Promise<readonly NftElement[]> {
    const found = this.tables.get(`${family} ${table}`)?.sets.get(set);
    return Promise.resolve([...(found?.elements.values() ?? [])]);
  }

  /** Somebody else empties everything, and no watch hears of it. */
  flushUnheard(): void {
    this.tables = new Map();
    this.isHeard = false;
  }

  watch(name: string, onChange: () => void): NftWatch {
    const watcher = { name, onChange };
    this.watchers.push(watcher);
    return {
      close: () => {
        this.watchers = this.watchers.filter((each) => each !== watcher);
      },
      hasHeardAll: () => {
        this.throwFailure();
        const all = this.isHeard;
        this.isHeard = true;
        return all;
      },
    };
  }

  close(): void {
    this.watchers = [];
  }

  private throwFailure(): void {
    if (this.broken !== undefined) throw new KernelError({ op: 'change nf_tables', errno: this.broken });
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  private run(steps: readonly NftStep[]): void {
    const before = structuredClone(this.tables);
    try {
      for (const step of steps) this.step(step);
    } catch (error) {
      this.tables = before;
      throw error;
    }
    for (const name of new Set(steps.map(({ table }) => table))) this.tell(name);
  }

  private tell(name: string): void {
    for (const watcher of [...this.watchers]) if (watcher.name === name) watcher.onChange();
  }

  private step(step: NftStep): void {
    const key = `${step.family} ${step.table}`;
    if (step.do === 'add table') {
      if (!this.tables.has(key)) this.tables.set(key, { chains: new Map(), sets: new Map() });
      return;
    }
    const table = this.tables.get(key) ?? refuse(errnoOf.ENOENT, step);
    switch (step.do) {
      case 'delete table':
        this.tables.delete(key);
        return;
      case 'add chain':
        if (!table.chains.has(step.chain.name)) {
          table.chains.set(step.chain.name, { base: step.chain.base, rules: [] });
        }
        return;
      case 'delete chain':
        deleteChain(table, step.chain, step);
        return;
      case 'flush chain':
        (table.chains.get(step.chain) ?? refuse(errnoOf.ENOENT, step)).rules = [];
        return;
      case 'add rule':
        addRule(table, step);
        return;
      case 'add set':
        if (!table.sets.has(step.set.name)) {
          table.sets.set(step.set.name, { definition: step.set, elements: new Map() });
        }
        changeElements(table, step.set.name, step.set.elements, true, step);
        return;
      case 'delete set':
        if (isUsed(table, step.set)) refuse(errnoOf.EBUSY, step);
        if (!table.sets.delete(step.set)) refuse(errnoOf.ENOENT, step);
        return;
      case 'add elements':
      case 'delete elements':
        changeElements(table, step.set, step.elements, step.do === 'add elements', step);
        return;
    }
  }
}

function refuse(errno: number, step: NftStep): never {
  const op = step.do.replace('delete', 'remove');
  throw new KernelError({ op, errno, object: JSON.stringify(step).slice(0, 200) });
}

function observedSet({ definition, elements }: FakeSet): ObservedTable['sets'][number] {
  const lengths = {
    ipv4_addr: 4,
    ipv6_addr: 16,
    inet_proto: 4,
    inet_service: 4,
    mark: 4,
    integer: 4,
    turn: 4,
  } as const;
  const lengthOf = (type: NftSet['keyType']): number =>
    typeof type === 'string' ? lengths[type] : type.reduce((sum, atom) => sum + lengths[atom], 0);
  const { dataType } = definition;
  return {
    name: definition.name,
    keyLength: lengthOf(definition.keyType),
    dataLength: dataType === undefined || dataType === 'verdict' ? dataType : lengthOf(dataType),
    dynamic: definition.dynamic !== undefined,
    elements: definition.dynamic === undefined ? [...elements.values()] : [],
  };
}

function deleteChain(table: FakeTable, name: string, step: NftStep): void {
  const chain = table.chains.get(name) ?? refuse(errnoOf.ENOENT, step);
  const isTarget = [...table.sets.values()].some(({ elements }) =>
    [...elements.values()].some((element) => targetOf(element) === name),
  );
  if (chain.rules.length > 0 || isTarget) refuse(errnoOf.EBUSY, step);
  table.chains.delete(name);
}

function targetOf({ data }: NftElement): string | undefined {
  if (data === undefined || typeof data === 'string' || typeof data.verdict === 'string') return undefined;
  return 'goto' in data.verdict ? data.verdict.goto : data.verdict.jump;
}

function setsOf(expressions: readonly NftExpression[]): readonly string[] {
  return expressions.flatMap((each) => ('set' in each && typeof each.set === 'string' ? [each.set] : []));
}

function isUsed(table: FakeTable, set: string): boolean {
  return [...table.chains.values()].some(({ rules }) =>
    rules.some(({ expressions }) => setsOf(expressions).includes(set)),
  );
}

function addRule(table: FakeTable, step: Extract<NftStep, { do: 'add rule' }>): void {
  const chain = table.chains.get(step.chain) ?? refuse(errnoOf.ENOENT, step);
  if (setsOf(step.rule.expressions).some((set) => !table.sets.has(set))) refuse(errnoOf.ENOENT, step);
  chain.rules.push(step.rule);
}

function changeElements(
  table: FakeTable,
  name: string,
  elements: readonly NftElement[],
  isAdd: boolean,
  step: NftStep,
): void {
  const set = table.sets.get(name) ?? refuse(errnoOf.ENOENT, step);
  for (const element of elements) {
    const found = set.elements.get(element.key);
    if (!isAdd) {
      if (!set.elements.delete(element.key)) refuse(errnoOf.ENOENT, step);
      continue;
    }
    const target = targetOf(element);
    if (target !== undefined && !table.chains.has(target)) refuse(errnoOf.ENOENT, step);
    if (found !== undefined && JSON.stringify(found) !== JSON.stringify(element))
      refuse(errnoOf.EEXIST, step);
    set.elements.set(element.key, element);
  }
}
