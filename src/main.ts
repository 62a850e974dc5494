import { holdSignals } from './held-signals.ts';

// Before anything else is loaded.
const held = holdSignals();
void import('./cli/index.ts')
  .then(({ processIo, run }) => run(process.argv.slice(2), processIo(held)))
  .then((status) => process.exit(status));
