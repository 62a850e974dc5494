import { processIo, run } from './cli/index.ts';

void run(process.argv.slice(2), processIo()).then((status) => process.exit(status));
