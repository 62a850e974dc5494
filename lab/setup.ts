// npm run setup [-- --check] [NAME ...]: installs or builds what the lab needs, and says what it does.
import { parseArgs } from 'node:util';
import {
  clusterPrograms,
  dataPathPrograms,
  ensureComponents,
  nameServers,
  networkTools,
  peerTools,
  routers,
} from './components.ts';
import { privilege } from './privilege.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean', default: false } },
});

const names =
  positionals.length > 0
    ? positionals
    : [
        ...[...networkTools, 'openssl', ...clusterPrograms, ...dataPathPrograms],
        ...[...peerTools, ...routers, ...nameServers],
      ];
const components = await ensureComponents(names, {
  install: !values.check,
  say: (line) => {
    console.log(`  ${line}`);
  },
});
const width = Math.max(...names.map((name) => name.length));
for (const each of components) {
  console.log(`${each.name.padEnd(width)}  ${'missing' in each ? `missing: ${each.because}` : each.path}`);
}
const right = privilege();
console.log(
  `${'namespaces'.padEnd(width)}  ${right.how === 'none' ? `not possible: ${right.because}` : right.how === 'already' ? 'as root' : 'in a user namespace'}`,
);
if (right.how === 'none' || components.some((each) => 'missing' in each)) process.exitCode = 1;
