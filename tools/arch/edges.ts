import { dirname } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseResult, IDependency } from 'dependency-cruiser';
import type { Edge } from './rules.ts';

/** Every import in the repository, as dependency-cruiser resolves it. */
export interface ImportGraph {
  readonly edges: readonly Edge[];
  /** Imports that lead nowhere: `file → specifier`. */
  readonly unresolved: readonly string[];
  /** Files of different folders that import each other in a ring at run time. */
  readonly fileCycles: readonly string[];
}

export async function readImports(root: string, folders: readonly string[]): Promise<ImportGraph> {
  const result = await cruise(
    [...folders],
    {
      baseDir: root,
      tsPreCompilationDeps: true,
      doNotFollow: { path: 'node_modules' },
      exclude: '(^|/)dist/',
    },
    { extensions: ['.ts', '.js', '.json'] },
  );
  const output = result.output as ICruiseResult;
  const edges: Edge[] = [];
  const unresolved: string[] = [];
  const fileCycles: string[] = [];
  for (const module of output.modules) {
    if (module.source.startsWith('node_modules/')) continue;
    for (const dependency of module.dependencies) {
      const typeOnly = dependency.dependencyTypes.includes('type-only');
      if (dependency.couldNotResolve) {
        unresolved.push(`${module.source} → ${dependency.module}`);
        continue;
      }
      const elsewhere = dirname(module.source) !== dirname(dependency.resolved);
      if (dependency.circular && !typeOnly && elsewhere)
        fileCycles.push(`${module.source} → ${dependency.resolved}`);
      edges.push({ from: module.source, to: target(dependency), typeOnly });
    }
  }
  return { edges, unresolved, fileCycles };
}

function target(dependency: IDependency): string {
  if (dependency.coreModule)
    return dependency.module.startsWith('node:') ? dependency.module : `node:${dependency.module}`;
  if (dependency.module.startsWith('.')) return dependency.resolved;
  return dependency.module;
}
