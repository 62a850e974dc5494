import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';

/** What a CommonJS module is given, as parameters of a function around it. */
const head = '(function(exports,require,module,__filename,__dirname){';

type Wrapped = (
  exports: object,
  require: NodeJS.Require,
  module: object,
  file: string,
  folder: string,
) => void;

/** What V8 made of a bundle when it was built, beside it: another processor may have another make of it. */
export function codeCacheOf(bundle: string): string {
  return join(dirname(bundle), `code-${process.arch}.cache`);
}

/**
 * Compiles a bundle, from what V8 made of it when it was built where that fits: compiling it anew is a fifth of a start.
 * Under another version of V8, or other flags of it, the script's `cachedDataRejected` is true and it was compiled as usual. Of the source V8 compares
 * the length alone: whoever edits a bundle by hand takes its cache away.
 *
 * @param bundle a CommonJS module in ASCII, of which V8 keeps one byte for a letter then.
 */
export function compileBundle(bundle: string): Script {
  const cache = codeCacheOf(bundle);
  return new Script(`${head}${readFileSync(bundle, 'latin1')}\n})`, {
    filename: bundle,
    columnOffset: -head.length,
    ...(existsSync(cache) ? { cachedData: readFileSync(cache) } : {}),
  });
}

/** Runs a compiled bundle as Node would have. */
export function runBundle(script: Script, bundle: string): void {
  const module = { exports: {} };
  const wrapped = script.runInThisContext() as Wrapped;
  wrapped(module.exports, createRequire(bundle), module, bundle, dirname(bundle));
}
