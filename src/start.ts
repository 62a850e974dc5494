import { join } from 'node:path';
import { compileBundle, runBundle } from './bundle.ts';
import { holdSignals } from './held-signals.ts';

// What the launcher starts: this file beside the bundle. Signals that come while it is compiled wait for the bundle's own listeners, because
// nothing here lets the event loop turn.
holdSignals();
const bundle = join(__dirname, 'kube-vip.js');
runBundle(compileBundle(bundle), bundle);
