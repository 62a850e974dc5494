import { holdSignals } from './held-signals.ts';
import { processIo, run } from './cli/index.ts';

// Before the event loop turns. In the build start.ts has done it already, before anything was compiled.
const held = holdSignals();
void run(process.argv.slice(2), processIo(held)).then((status) => process.exit(status));
