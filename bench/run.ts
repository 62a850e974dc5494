// npm run bench [-- NAME [options]]: runs one benchmark of this folder, or lists them.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => path.basename(file, '.ts'));
const name = process.argv[2];
if (
  name === undefined ||
  !existsSync(path.join(import.meta.dirname, `${name}.ts`)) ||
  !names.includes(name)
) {
  console.error(`usage: npm run bench -- NAME [options]\nbenchmarks: ${names.sort().join(', ')}`);
  process.exit(2);
}
// The benchmark reads its own arguments, as if it had been started by itself.
process.argv.splice(1, 2, path.join(import.meta.dirname, `${name}.ts`));
await import(`./${name}.ts`);
