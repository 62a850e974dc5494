// npm run bench [-- NAME [options]]: runs one benchmark, or lists them.
import path from 'node:path';

const benchmarks: Readonly<Record<string, () => Promise<unknown>>> = {
  balancer: () => import('./balancer.ts'),
  failover: () => import('./failover.ts'),
  footprint: () => import('./footprint.ts'),
  rollout: () => import('./rollout.ts'),
  services: () => import('./services.ts'),
};

const name = process.argv[2] ?? '';
const start = benchmarks[name];
if (start === undefined) {
  console.error(
    `usage: npm run bench -- NAME [options]\nbenchmarks: ${Object.keys(benchmarks).sort().join(', ')}`,
  );
  process.exit(2);
}
// The benchmark reads its own arguments, as if it had been started by itself.
process.argv.splice(1, 2, path.join(import.meta.dirname, `${name}.ts`));
await start();
